package rdsdata

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rdsdata/types"
	"github.com/jackc/pgx/v5/pgtype"
)

// statement is SQL with its parameters, as PostgreSQL takes them.
type statement struct {
	text   string
	values [][]byte // in text form; nil is NULL
	types  []uint32
}

// bind replaces the names of parameters by numbers.
func bind(sql string, parameters []types.SqlParameter) (statement, error) {
	if strings.TrimSpace(sql) == "" {
		return statement{}, badRequest("The SQL statement is empty.")
	}
	if strings.EqualFold(firstWord(sql), "copy") {
		return statement{}, badRequest("COPY is not supported: the Data API has no stream of data.")
	}
	byName := map[string]types.SqlParameter{}
	for _, p := range parameters {
		name := aws.ToString(p.Name)
		if _, twice := byName[name]; twice || name == "" {
			return statement{}, badRequest("Each parameter needs a name of its own: %.100q is none.", name)
		}
		byName[name] = p
	}
	var s statement
	var numbered []string
	var b strings.Builder
	for _, piece := range split(sql) {
		if !piece.parameter {
			b.WriteString(piece.text)
			continue
		}
		p, ok := byName[piece.text]
		if !ok {
			return statement{}, badRequest("Cannot find parameter: %.100s", piece.text)
		}
		n := slices.Index(numbered, piece.text)
		if n < 0 {
			value, oid, err := encode(p)
			if err != nil {
				return statement{}, err
			}
			n = len(numbered)
			numbered, s.values, s.types = append(numbered, piece.text), append(s.values, value), append(s.types, oid)
		}
		fmt.Fprintf(&b, "$%d", n+1)
	}
	if len(numbered) > 65535 {
		return statement{}, badRequest("A statement can have 65535 parameters.")
	}
	s.text = b.String()
	return s, nil
}

// hinted are the types that a hint gives to a text. What is JSON is for PostgreSQL to
// find out: json and jsonb are different types.
var hinted = map[types.TypeHint]uint32{
	types.TypeHintJson: 0, types.TypeHintUuid: pgtype.UUIDOID, types.TypeHintTimestamp: pgtype.TimestampOID,
	types.TypeHintDate: pgtype.DateOID, types.TypeHintTime: pgtype.TimeOID, types.TypeHintDecimal: pgtype.NumericOID,
}

// encode is a parameter's value in text form, and its type.
func encode(p types.SqlParameter) (value []byte, oid uint32, err error) {
	hint, hasHint := hinted[p.TypeHint]
	if p.TypeHint != "" && !hasHint {
		return nil, 0, badRequest("The type hint %.50s of parameter %.100s is none of JSON, UUID, TIMESTAMP, DATE, TIME, DECIMAL.", p.TypeHint, *p.Name)
	}
	if _, isText := p.Value.(*types.FieldMemberStringValue); hasHint && !isText {
		if _, isNull := p.Value.(*types.FieldMemberIsNull); !isNull {
			return nil, 0, badRequest("The type hint of parameter %.100s is for a stringValue.", *p.Name)
		}
	}
	switch v := p.Value.(type) {
	case *types.FieldMemberIsNull:
		if !v.Value {
			return nil, 0, badRequest("isNull of parameter %.100s can only be true.", *p.Name)
		}
		return nil, hint, nil
	case *types.FieldMemberStringValue:
		if hasHint {
			return []byte(v.Value), hint, nil
		}
		return []byte(v.Value), pgtype.VarcharOID, nil
	case *types.FieldMemberLongValue:
		return strconv.AppendInt(nil, v.Value, 10), pgtype.Int8OID, nil
	case *types.FieldMemberDoubleValue:
		return strconv.AppendFloat(nil, v.Value, 'g', -1, 64), pgtype.Float8OID, nil
	case *types.FieldMemberBooleanValue:
		return strconv.AppendBool(nil, v.Value), pgtype.BoolOID, nil
	case *types.FieldMemberBlobValue:
		return []byte(`\x` + hex.EncodeToString(v.Value)), pgtype.ByteaOID, nil
	case *types.FieldMemberArrayValue:
		return nil, 0, badRequest("Array parameters are not supported.")
	}
	return nil, 0, badRequest("Parameter %.100s has no value.", *p.Name)
}
