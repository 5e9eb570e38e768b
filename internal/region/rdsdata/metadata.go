package rdsdata

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/rdsdata/types"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// typeInfo is what PostgreSQL's catalogue has of a type.
type typeInfo struct {
	name    string
	element uint32 // of an array
}

// column is one of a result.
type column struct {
	field pgconn.FieldDescription
	info  typeInfo
}

// The types that columns have in JDBC, which the Data API speaks of.
const (
	jdbcBit       = -7
	jdbcBigint    = -5
	jdbcBinary    = -2
	jdbcChar      = 1
	jdbcNumeric   = 2
	jdbcInteger   = 4
	jdbcSmallint  = 5
	jdbcReal      = 7
	jdbcDouble    = 8
	jdbcVarchar   = 12
	jdbcDate      = 91
	jdbcTime      = 92
	jdbcTimestamp = 93
	jdbcOther     = 1111
	jdbcArray     = 2003
)

// unlimited is the precision of a text without a length.
const unlimited = 1<<31 - 1

// known are the types that have numbers of their own in JDBC, with the precision
// and the scale that its driver for PostgreSQL says they have.
var known = map[uint32]struct{ jdbc, precision, scale int32 }{
	pgtype.BoolOID: {jdbcBit, 1, 0}, pgtype.Int2OID: {jdbcSmallint, 5, 0}, pgtype.Int4OID: {jdbcInteger, 10, 0},
	pgtype.Int8OID: {jdbcBigint, 19, 0}, pgtype.OIDOID: {jdbcBigint, 10, 0}, pgtype.Float4OID: {jdbcReal, 8, 8},
	pgtype.Float8OID: {jdbcDouble, 17, 17}, pgtype.NumericOID: {jdbcNumeric, 0, 0}, pgtype.TextOID: {jdbcVarchar, unlimited, 0},
	pgtype.VarcharOID: {jdbcVarchar, unlimited, 0}, pgtype.BPCharOID: {jdbcChar, unlimited, 0}, pgtype.NameOID: {jdbcVarchar, 63, 0},
	pgtype.ByteaOID: {jdbcBinary, unlimited, 0}, pgtype.DateOID: {jdbcDate, 13, 0}, pgtype.TimeOID: {jdbcTime, 15, 6},
	pgtype.TimetzOID: {jdbcTime, 21, 6}, pgtype.TimestampOID: {jdbcTimestamp, 29, 6}, pgtype.TimestamptzOID: {jdbcTimestamp, 35, 6},
}

// describe finds out about the types of columns. What it has asked for once in a
// session it does not ask for again.
func (s *session) describe(ctx context.Context, fields []pgconn.FieldDescription) ([]column, error) {
	var missing []string
	for _, f := range fields {
		if _, ok := s.types[f.DataTypeOID]; !ok {
			missing = append(missing, strconv.FormatUint(uint64(f.DataTypeOID), 10))
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		got, err := s.catalogue(ctx, "select oid, typname, case when typcategory = 'A' then typelem else 0 end from pg_catalog.pg_type where oid = any ($1)",
			slices.Compact(missing))
		if err != nil {
			return nil, err
		}
		for _, row := range got {
			s.types[number(row[0])] = typeInfo{string(row[1]), number(row[2])}
		}
	}
	columns := make([]column, len(fields))
	for i, f := range fields {
		columns[i] = column{f, s.types[f.DataTypeOID]}
	}
	return columns, nil
}

// catalogue asks PostgreSQL about itself, with a list of OIDs. A transaction in which
// that cannot be asked any more has had its error already.
func (s *session) catalogue(ctx context.Context, sql string, oids []string) ([][][]byte, error) {
	got, err := s.execute(ctx, statement{text: sql, values: [][]byte{[]byte("{" + strings.Join(oids, ",") + "}")}, types: []uint32{pgtype.OIDArrayOID}}, maxFormatted)
	if err != nil {
		return nil, fmt.Errorf("types of a result: %w", err)
	}
	return got.values, nil
}

func number(text []byte) uint32 {
	n, _ := strconv.ParseUint(string(text), 10, 32) // an OID
	return uint32(n)
}

// origin is the column of a table that a column of a result is.
type origin struct {
	table           string
	notNull, counts bool
}

// origins looks up the tables of columns.
func (s *session) origins(ctx context.Context, columns []column) (map[[2]uint32]origin, error) {
	var tables []string
	for _, c := range columns {
		if c.field.TableOID != 0 {
			tables = append(tables, strconv.FormatUint(uint64(c.field.TableOID), 10))
		}
	}
	found := map[[2]uint32]origin{}
	if len(tables) == 0 {
		return found, nil
	}
	got, err := s.catalogue(ctx, `select a.attrelid, a.attnum, c.relname, a.attnotnull,
		a.attidentity <> '' or coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) like 'nextval(%', false)
		from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
		left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
		where a.attnum > 0 and a.attrelid = any ($1)`, tables)
	for _, row := range got {
		found[[2]uint32{number(row[0]), number(row[1])}] = origin{string(row[2]), string(row[3]) == "t", string(row[4]) == "t"}
	}
	return found, err
}

// metadata describes columns as JDBC does.
func (s *session) metadata(ctx context.Context, columns []column) ([]types.ColumnMetadata, error) {
	origins, err := s.origins(ctx, columns)
	if err != nil {
		return nil, err
	}
	all := make([]types.ColumnMetadata, len(columns))
	for i, c := range columns {
		from, fromTable := origins[[2]uint32{c.field.TableOID, uint32(c.field.TableAttributeNumber)}]
		jdbc, precision, scale := c.jdbc()
		m := types.ColumnMetadata{
			Name: &columns[i].field.Name, Label: &columns[i].field.Name, TableName: &from.table, SchemaName: new(string),
			TypeName: &columns[i].info.name, Type: jdbc, Precision: precision, Scale: scale,
			IsSigned:        jdbc == jdbcSmallint || jdbc == jdbcInteger || jdbc == jdbcBigint || jdbc == jdbcReal || jdbc == jdbcDouble || jdbc == jdbcNumeric,
			IsCaseSensitive: jdbc == jdbcVarchar || jdbc == jdbcChar || jdbc == jdbcOther, IsCurrency: c.info.name == "money",
			IsAutoIncrement: from.counts, Nullable: 2, // unknown
		}
		if fromTable {
			m.Nullable = 1
			if from.notNull {
				m.Nullable = 0
			}
		}
		if c.info.element != 0 {
			m.ArrayBaseColumnType = known[c.info.element].jdbc
		}
		all[i] = m
	}
	return all, nil
}

// jdbc is a column's type, precision and scale.
func (c column) jdbc() (jdbc, precision, scale int32) {
	if c.info.element != 0 {
		return jdbcArray, unlimited, 0
	}
	k, ok := known[c.field.DataTypeOID]
	if !ok {
		return jdbcOther, unlimited, 0
	}
	if modifier := c.field.TypeModifier - 4; modifier >= 0 {
		switch c.field.DataTypeOID {
		case pgtype.NumericOID:
			return k.jdbc, modifier >> 16 & 0xffff, modifier & 0xffff
		case pgtype.VarcharOID, pgtype.BPCharOID:
			return k.jdbc, modifier, 0
		}
	}
	return k.jdbc, k.precision, k.scale
}
