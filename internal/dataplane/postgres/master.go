package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ApplyMaster gives the master user its password, and its role back should the
// tenant have dropped or weakened it. Only a primary can.
//
// The name and the verifier go as parameters into settings of the transaction
// and from there into the statement, so that no statement that others can see in
// pg_stat_activity has them.
func (s Server) ApplyMaster(ctx context.Context, m Master) error {
	if err := m.check(); err != nil {
		return err
	}
	err := s.withConn(ctx, func(conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT pg_catalog.set_config('daybreak.master', $1, true), pg_catalog.set_config('daybreak.verifier', $2, true)`,
				m.Name, m.Verifier)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, applyMasterSQL)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("apply master user: %w", err)
	}
	return nil
}

const applyMasterSQL = `DO $$
DECLARE
	master text := current_setting('daybreak.master');
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = master) THEN
		EXECUTE format('CREATE ROLE %I', master);
	END IF;
	EXECUTE format('ALTER ROLE %I ` + masterAttributes + ` PASSWORD %L', master, current_setting('daybreak.verifier'));
	IF EXISTS (SELECT FROM pg_roles WHERE rolname = '` + superuserRole + `') THEN
		EXECUTE format('GRANT ` + superuserRole + ` TO %I', master);
	END IF;
END $$`
