package kms

import (
	"context"
	"fmt"
	"strings"

	"github.com/daybreakdb/daybreak/internal/state"
)

// Keys follows the keys, for services that are asked about many at once.
type Keys struct{ mirror *state.Mirror[Key] }

// NewKeys follows the keys of a store until ctx ends.
func NewKeys(ctx context.Context, store *state.Store) (*Keys, error) {
	mirror, err := state.NewMirror(ctx, keyTable(store))
	if err != nil {
		return nil, fmt.Errorf("kms: %w", err)
	}
	return &Keys{mirror}, nil
}

// Usable says whether a service can use the key of an ARN now.
func (k *Keys) Usable(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return false
	}
	p, id := place{account: parts[4], region: parts[3]}, strings.TrimPrefix(parts[5], "key/")
	for _, service := range managed() {
		if id == ManagedKeyID(p.account, p.region, service) {
			return true
		}
	}
	key, ok := k.mirror.Get(p.record(id))
	return ok && key.Value.Enabled && key.Value.DeletionDate == nil
}
