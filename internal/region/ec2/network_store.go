package ec2

import (
	"context"
	"errors"
	"slices"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// networkTable is the table of VPCs, keyed by account, region and id. That of a
// default VPC may be missing.
func networkTable(store *state.Store) state.Table[Network] {
	return state.NewTable[Network](store, "region/ec2-vpcs")
}

func (n Network) key() string { return n.Account + "/" + n.Region + "/" + n.VpcID }

// ErrNoNetwork is the error of a VPC or a subnet that is not there.
var ErrNoNetwork = errors.New("no such network")

// FindNetwork returns a VPC of an account and region, with the condition under
// which it stays as it is.
func FindNetwork(ctx context.Context, store *state.Store, account, region, vpcID string) (Network, state.Op, error) {
	item, err := findNetwork(ctx, store, account, region, func(n Network) bool { return n.VpcID == vpcID })
	return item.Value, networkTable(store).CheckOp(item.Key, item.Revision), err
}

// FindNetworkOfSubnet returns the VPC that has a subnet, as FindNetwork does.
func FindNetworkOfSubnet(ctx context.Context, store *state.Store, account, region, subnetID string) (Network, state.Op, error) {
	item, err := findNetwork(ctx, store, account, region, func(n Network) bool { return n.subnetIndex(subnetID) >= 0 })
	return item.Value, networkTable(store).CheckOp(item.Key, item.Revision), err
}

func findNetwork(ctx context.Context, store *state.Store, account, region string, has func(Network) bool) (state.Item[Network], error) {
	items, err := listNetworks(ctx, store, account, region)
	if err != nil {
		return state.Item[Network]{}, err
	}
	if i := slices.IndexFunc(items, func(item state.Item[Network]) bool { return has(item.Value) }); i >= 0 {
		return items[i], nil
	}
	return state.Item[Network]{}, ErrNoNetwork
}

// listNetworks are the VPCs of an account and region; revision 0 is that of a
// default VPC that is not stored.
func listNetworks(ctx context.Context, store *state.Store, account, region string) ([]state.Item[Network], error) {
	items, _, err := networkTable(store).List(ctx, account+"/"+region+"/")
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if item.Value.Default {
			return items, nil
		}
	}
	n := DefaultNetwork(account, region)
	return append(items, state.Item[Network]{Key: n.key(), Value: n}), nil
}

// networks are the caller's VPCs.
func (a *API) networks(ctx context.Context) ([]Network, error) {
	id := awswire.IdentityFrom(ctx)
	items, err := listNetworks(ctx, a.store, id.Account, id.Region)
	networks := make([]Network, len(items))
	for i, item := range items {
		networks[i] = item.Value
	}
	return networks, err
}

// networkWith is the caller's VPC that has something.
func (a *API) networkWith(ctx context.Context, has func(Network) bool, missing error) (state.Item[Network], error) {
	id := awswire.IdentityFrom(ctx)
	item, err := findNetwork(ctx, a.store, id.Account, id.Region, has)
	if errors.Is(err, ErrNoNetwork) {
		return item, missing
	}
	return item, err
}

// change writes what f makes of the caller's VPC that has something, with the
// operations that f returns, or nothing. It calls f again if the VPC changed.
func (a *API) change(ctx context.Context, has func(Network) bool, missing error, f func(*Network) ([]state.Op, error)) error {
	for {
		item, err := a.networkWith(ctx, has, missing)
		if err != nil {
			return err
		}
		n := item.Value
		ops, err := f(&n)
		if err != nil {
			return err
		}
		_, err = a.store.Commit(ctx, append(ops, a.vpcs.PutOp(item.Key, n, item.Revision))...)
		if !errors.Is(err, state.ErrConflict) {
			return err
		}
	}
}

func withVPC(id string) func(Network) bool { return func(n Network) bool { return n.VpcID == id } }
func withSubnet(id string) func(Network) bool {
	return func(n Network) bool { return n.subnetIndex(id) >= 0 }
}
func withTable(id string) func(Network) bool {
	return func(n Network) bool { return n.tableIndex(id) >= 0 }
}
