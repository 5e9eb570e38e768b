package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// storeHost writes the host if it is not stored so already.
func (n *node) storeHost(ctx context.Context, host aurora.Host) error {
	hosts := state.Hosts(n.config.Store)
	_, err := hosts.Create(ctx, host.ID, host)
	if errors.Is(err, state.ErrExists) {
		_, err = hosts.Update(ctx, host.ID, func(stored *aurora.Host) error {
			host.Labels = stored.Labels
			if reflect.DeepEqual(*stored, host) {
				return state.ErrUnchanged
			}
			*stored = host
			return nil
		})
	}
	return err
}

// memoryBytes is the memory of this machine, or of the container it is.
func memoryBytes() (int64, error) {
	total, err := meminfoTotal()
	if err != nil {
		return 0, err
	}
	if limit, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil {
			total = min(total, n)
		}
	}
	return total, nil
}

func meminfoTotal() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) >= 2 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/meminfo does not say MemTotal")
}
