package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Connect opens a connection as AdminRole to AdminDatabase. Superusers of ours
// connect nowhere else: in a tenant's database every name may be a trap.
func (s Server) Connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(fmt.Sprintf(
		"host=%s port=%d dbname=%s user=%s sslmode=disable target_session_attrs=any passfile=/dev/null",
		quoteConninfo(s.SocketDir), Port, AdminDatabase, AdminRole))
	if err != nil {
		return nil, err
	}
	config.Password = s.AdminPassword
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.RuntimeParams = sessionSettings()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return conn, nil
}

// sessionSettings keep our sessions free of what a tenant's parameters would do
// to them, and what we do out of logs and statistics.
func sessionSettings() map[string]string {
	return map[string]string{
		"application_name":                    "daybreak",
		"search_path":                         "",
		"client_encoding":                     "UTF8",
		"default_transaction_read_only":       "off",
		"default_transaction_isolation":       "read committed",
		"idle_in_transaction_session_timeout": "0",
		"idle_session_timeout":                "0",
		"statement_timeout":                   "0",
		"lock_timeout":                        "0",
		"row_security":                        "off",
		"log_statement":                       "none",
		"log_duration":                        "off",
		"log_min_duration_statement":          "-1",
		"log_min_duration_sample":             "-1",
		"log_min_error_statement":             "panic",
		"log_min_messages":                    "panic",
		"pg_stat_statements.track":            "none",
		"auto_explain.log_min_duration":       "-1",
	}
}

// withConn runs f with a connection of its own.
func (s Server) withConn(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return f(conn)
}

// Verifier returns what the server compares a role's password with.
func (s Server) Verifier(ctx context.Context, role string) (string, error) {
	conn, err := s.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var verifier string
	err = conn.QueryRow(ctx, "SELECT coalesce(rolpassword, '') FROM pg_catalog.pg_authid WHERE rolname OPERATOR(pg_catalog.=) $1::text", role).Scan(&verifier)
	return verifier, err
}
