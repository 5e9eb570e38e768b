package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestLoneServerScenarios: what happens to a cluster of one server, which nobody can
// take over from.
func TestLoneServerScenarios(t *testing.T) {
	runScenarios(t, []scenario{
		{numbers: "20", name: "the only server's data keeps it from starting", do: onlyServerUnstartable},
	}, func(t *testing.T) *cluster { return deploy(t, 0) })
}

// onlyServerUnstartable has recovery find no checkpoint. What the server needs is in
// the base copy and the log.
func onlyServerUnstartable(c *cluster, o *oracle) {
	was := c.primary()
	node := c.ours("node")
	signal(syscall.SIGSTOP, node) // so that the damage is done before the server starts
	signal(syscall.SIGKILL, was.all()...)
	files, err := filepath.Glob(filepath.Join(was.dir, "data", "pg_wal", "0*"))
	if len(files) == 0 {
		c.t.Fatal("there is no WAL to be damaged", err)
	}
	for _, name := range files {
		c.must(zero(name))
	}
	signal(syscall.SIGCONT, node)
	c.commitsGoOn()
	c.t.Logf("outage %v", o.takeGap())
	c.told("unstartable")
	c.told("RDS-EVENT-0021")
	c.healthy(2 * limit)
	now := c.primary()
	harness.Eventually(c.t, limit, "the damaged data is removed", func() error {
		dirs, _ := filepath.Glob(filepath.Join(c.zones(), "*", "*", now.instance))
		kept, _ := filepath.Glob(filepath.Join(now.dir, "data?*"))
		if len(dirs) != 1 || len(kept) > 0 {
			return fmt.Errorf("%v, %v", dirs, kept)
		}
		return nil
	})
	if out := c.in.Run("describe", "faults"); strings.Contains(out, "cannot be started") {
		c.t.Errorf("describe still says that it cannot be started: %s", out)
	}
}

// zero overwrites a file with zeros.
func zero(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, info.Size()))
	return errors.Join(err, f.Sync(), f.Close())
}
