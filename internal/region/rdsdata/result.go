package rdsdata

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/rdsdata"
	"github.com/aws/aws-sdk-go-v2/service/rdsdata/types"
	"github.com/jackc/pgx/v5/pgtype"
)

// shown is how a caller wants its records.
type shown struct {
	asJSON, metadata bool
	longsAsText      bool
	decimalsAsNumber bool
	maxBytes         int
}

func howToShow(in *rdsdata.ExecuteStatementInput) (shown, error) {
	how := shown{metadata: in.IncludeResultMetadata, maxBytes: maxResult}
	switch in.FormatRecordsAs {
	case "", types.RecordsFormatTypeNone:
	case types.RecordsFormatTypeJson:
		how.asJSON, how.maxBytes = true, maxFormatted
	default:
		return how, badRequest("formatRecordsAs must be NONE or JSON.")
	}
	if o := in.ResultSetOptions; o != nil {
		switch o.DecimalReturnType {
		case "", types.DecimalReturnTypeString:
		case types.DecimalReturnTypeDoubleOrLong:
			how.decimalsAsNumber = true
		default:
			return how, badRequest("decimalReturnType must be STRING or DOUBLE_OR_LONG.")
		}
		switch o.LongReturnType {
		case "", types.LongReturnTypeLong:
		case types.LongReturnTypeString:
			how.longsAsText = true
		default:
			return how, badRequest("longReturnType must be STRING or LONG.")
		}
	}
	return how, nil
}

// show is the answer to a statement.
func (how shown) show(ctx context.Context, s *session, got *rows) (*rdsdata.ExecuteStatementOutput, error) {
	out := &rdsdata.ExecuteStatementOutput{}
	if !got.tag.Select() {
		out.NumberOfRecordsUpdated = got.tag.RowsAffected()
	}
	if len(got.columns) == 0 {
		out.GeneratedFields = []types.Field{}
		return out, nil
	}
	columns, err := s.describe(ctx, got.columns)
	if err != nil {
		return nil, err
	}
	records := make([][]types.Field, len(got.values))
	for i, row := range got.values {
		records[i] = make([]types.Field, len(row))
		for j, value := range row {
			if records[i][j], err = how.field(columns[j], value); err != nil {
				return nil, err
			}
		}
	}
	if how.asJSON && got.tag.Select() {
		text, err := formatted(columns, records)
		out.FormattedRecords = &text
		return out, err
	}
	out.Records = records
	if how.metadata {
		out.ColumnMetadata, err = s.metadata(ctx, columns)
	}
	return out, err
}

// field is a value of PostgreSQL in its text form as one of the Data API.
func (how shown) field(c column, value []byte) (types.Field, error) {
	if value == nil {
		return &types.FieldMemberIsNull{Value: true}, nil
	}
	text := string(value)
	if c.info.element != 0 {
		return arrayField(c, text)
	}
	switch c.field.DataTypeOID {
	case pgtype.BoolOID:
		return &types.FieldMemberBooleanValue{Value: text == "t"}, nil
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && !how.longsAsText {
			return &types.FieldMemberLongValue{Value: n}, nil
		}
	case pgtype.Float4OID, pgtype.Float8OID:
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return &types.FieldMemberDoubleValue{Value: f}, nil
		}
	case pgtype.NumericOID:
		if how.decimalsAsNumber {
			return numberField(text), nil
		}
	case pgtype.ByteaOID:
		blob, err := hex.DecodeString(strings.TrimPrefix(text, `\x`))
		return &types.FieldMemberBlobValue{Value: blob}, err
	case pgtype.TimestamptzOID:
		text = strings.TrimSuffix(text, "+00") // the session is in UTC
	}
	return &types.FieldMemberStringValue{Value: text}, nil
}

// numberField is a decimal as a number: a long if it is whole.
func numberField(text string) types.Field {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return &types.FieldMemberLongValue{Value: n}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return &types.FieldMemberStringValue{Value: text}
	}
	return &types.FieldMemberDoubleValue{Value: f}
}

// arrayField is an array of one dimension.
func arrayField(c column, text string) (types.Field, error) {
	if bounds, rest, ok := strings.Cut(text, "="); ok && strings.HasPrefix(bounds, "[") {
		text = rest
	}
	if strings.HasPrefix(text, "{{") {
		return nil, tooLarge("The result contains a multidimensional array in column %s", c.field.Name)
	}
	var out types.ArrayValue
	var err error
	read := func(oid uint32, into any) { err = typeMap.Scan(oid, pgtype.TextFormatCode, []byte(text), into) }
	switch c.info.element {
	case pgtype.BoolOID:
		v := types.ArrayValueMemberBooleanValues{Value: []*bool{}}
		read(pgtype.BoolArrayOID, &v.Value)
		out = &v
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		v := types.ArrayValueMemberLongValues{Value: []*int64{}}
		read(pgtype.Int8ArrayOID, &v.Value)
		out = &v
	case pgtype.Float4OID, pgtype.Float8OID:
		v := types.ArrayValueMemberDoubleValues{Value: []*float64{}}
		read(pgtype.Float8ArrayOID, &v.Value)
		out = &v
	default:
		v := types.ArrayValueMemberStringValues{Value: []*string{}}
		read(pgtype.TextArrayOID, &v.Value)
		out = &v
	}
	if err != nil {
		return nil, fmt.Errorf("array in column %s: %w", c.field.Name, err)
	}
	return &types.FieldMemberArrayValue{Value: out}, nil
}

var typeMap = pgtype.NewMap()

// formatted are records as a JSON array of objects, with the columns in their order.
func formatted(columns []column, records [][]types.Field) (string, error) {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, record := range records {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('{')
		for j, f := range record {
			if j > 0 {
				b.WriteByte(',')
			}
			name, _ := json.Marshal(columns[j].field.Name) // a text always has JSON
			value, err := json.Marshal(plain(columns[j], f))
			if err != nil {
				return "", tooLarge("The value of column %s has no JSON", columns[j].field.Name)
			}
			b.Write(append(append(name, ':'), value...))
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
	return b.String(), nil
}

// plain is a field's value as JSON shows it; decimals are numbers there.
func plain(c column, f types.Field) any {
	switch f := f.(type) {
	case *types.FieldMemberBooleanValue:
		return f.Value
	case *types.FieldMemberLongValue:
		return f.Value
	case *types.FieldMemberDoubleValue:
		return f.Value
	case *types.FieldMemberBlobValue:
		return base64.StdEncoding.EncodeToString(f.Value)
	case *types.FieldMemberStringValue:
		if c.field.DataTypeOID == pgtype.NumericOID && !strings.ContainsAny(f.Value, "NI") { // NaN, Infinity
			return json.Number(f.Value)
		}
		return f.Value
	case *types.FieldMemberArrayValue:
		switch a := f.Value.(type) {
		case *types.ArrayValueMemberBooleanValues:
			return a.Value
		case *types.ArrayValueMemberLongValues:
			return a.Value
		case *types.ArrayValueMemberDoubleValues:
			return a.Value
		case *types.ArrayValueMemberStringValues:
			return a.Value
		}
	}
	return nil
}
