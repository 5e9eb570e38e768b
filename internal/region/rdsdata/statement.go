package rdsdata

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// rows are what a statement answered, in PostgreSQL's text form.
type rows struct {
	tag     pgconn.CommandTag
	columns []pgconn.FieldDescription
	values  [][][]byte // nil is NULL
}

// execute runs one statement and reads its rows, of which there may be so many bytes.
func (s *session) execute(ctx context.Context, sql statement, most int) (*rows, error) {
	reader := s.conn.ExecParams(ctx, sql.text, sql.values, sql.types, nil, nil)
	got := &rows{}
	for _, f := range reader.FieldDescriptions() {
		got.columns = append(got.columns, pgconn.FieldDescription{
			Name: strings.Clone(f.Name), TableOID: f.TableOID, TableAttributeNumber: f.TableAttributeNumber,
			DataTypeOID: f.DataTypeOID, DataTypeSize: f.DataTypeSize, TypeModifier: f.TypeModifier,
		})
	}
	size, err := 0, error(nil)
	for err == nil && reader.NextRow() {
		row := make([][]byte, len(reader.Values()))
		before := size
		for i, value := range reader.Values() {
			size += len(value)
			if value != nil {
				row[i] = append([]byte{}, value...)
			}
		}
		got.values = append(got.values, row)
		switch {
		case size > most:
			err = tooLarge("Database returned more than the allowed response size limit")
		case size-before > maxRow:
			err = tooLarge("Database returned a row that is larger than %d bytes", maxRow)
		}
	}
	if err != nil {
		s.interrupt()
		_, _ = reader.Close() // what was not read
		return nil, err
	}
	if got.tag, err = reader.Close(); err != nil {
		return nil, statementError(err)
	}
	return got, nil
}

func tooLarge(format string, args ...any) error {
	return awswire.BadRequestf("UnsupportedResultException", format, args...)
}

// interrupt has PostgreSQL stop a statement whose rows are not wanted.
func (s *session) interrupt() {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = s.conn.CancelRequest(ctx) // if it fails, all rows are read
}

// control runs a command of transactions.
func (s *session) control(ctx context.Context, command string) error {
	_, err := s.execute(ctx, statement{text: command}, 0)
	return err
}

// commit fails if PostgreSQL has to roll back, because a statement failed before.
func (s *session) commit(ctx context.Context) error {
	got, err := s.execute(ctx, statement{text: "commit"}, 0)
	if err == nil && got.tag.String() == "ROLLBACK" {
		return awswire.BadRequestf("DatabaseErrorException",
			"The database returned ROLLBACK, so the transaction cannot be committed. Transaction failure cause is an earlier statement's error.")
	}
	return err
}

// statementError is the answer to a statement that failed.
func statementError(err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return databaseError(said)
	}
	return fmt.Errorf("statement of the Data API: %w", connectError(err))
}

// databaseError repeats what PostgreSQL said.
func databaseError(e *pgconn.PgError) error {
	if e.Code == "42601" && strings.HasPrefix(e.Message, "cannot insert multiple commands") {
		return badRequest("Multistatements aren't supported")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Severity, e.Message)
	if e.Detail != "" {
		fmt.Fprintf(&b, "\n  Detail: %s", e.Detail)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "\n  Hint: %s", e.Hint)
	}
	if e.Position > 0 {
		fmt.Fprintf(&b, "\n  Position: %d", e.Position)
	}
	fmt.Fprintf(&b, "; SQLState: %s", e.Code)
	return awswire.BadRequestf("DatabaseErrorException", "%s", b.String())
}
