package node

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// storeBase has write make a base copy, and puts it where it belongs. For another
// host it is made beside the instance first.
func (n *node) storeBase(ctx context.Context, o order, base aurora.BaseCopy, write func(path string) error) error {
	if base.Host == n.config.HostID {
		if err := n.config.Layout.CreateCluster(base.Zone, o.cluster); err != nil {
			return err
		}
		return write(n.config.Layout.Base(base.Zone, o.cluster))
	}
	path := n.config.Layout.Base(o.zone, o.cluster) + ".out"
	if err := n.config.Layout.CreateCluster(o.zone, o.cluster); err != nil {
		return err
	}
	defer os.Remove(path)
	if err := write(path); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return n.logAt(base.Host).PutBase(ctx, o.cluster, base.Zone, file)
}

// hasBase says whether the base copy is where it was put.
func (n *node) hasBase(ctx context.Context, cluster string, base aurora.BaseCopy) (bool, error) {
	if base.Zone == "" {
		return false, nil
	}
	_, err := n.logAt(base.Host).StatBase(ctx, cluster, base.Zone)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (n *node) removeBase(ctx context.Context, cluster string, base aurora.BaseCopy) error {
	return n.logAt(base.Host).DropBase(ctx, cluster, base.Zone)
}
