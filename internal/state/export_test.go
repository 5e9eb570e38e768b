package state

import "context"

// RevokeLeases ends every lease, as if nobody had renewed them.
func RevokeLeases(ctx context.Context, s *Store) error {
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	leases, err := client.Leases(ctx)
	if err != nil {
		return err
	}
	for _, l := range leases.Leases {
		if _, err := client.Revoke(ctx, l.ID); err != nil {
			return err
		}
	}
	return nil
}
