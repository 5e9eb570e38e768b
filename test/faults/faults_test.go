package faults

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// fault is something that happens to a loaded cluster.
type fault struct {
	name string
	// do makes it happen, and returns how it ends; nil: at once, or by itself.
	do func(c *cluster, r *rand.Rand) (undo func())
	// lasts is how long it lasts until undo.
	lasts time.Duration
	// limit is how long the cluster may take, from then on, until all is well.
	limit time.Duration
}

const limit = time.Minute

// kill returns a fault that ends processes.
func kill(name string, whom func(c *cluster, r *rand.Rand) []int) fault {
	return fault{name: name, limit: limit, do: func(c *cluster, r *rand.Rand) func() {
		signal(syscall.SIGKILL, whom(c, r)...)
		return nil
	}}
}

// freeze returns a fault that stops processes for a while.
func freeze(name string, lasts time.Duration, whom func(c *cluster, r *rand.Rand) []int) fault {
	return fault{name: name, lasts: lasts, limit: limit, do: func(c *cluster, r *rand.Rand) func() {
		pids := whom(c, r)
		signal(syscall.SIGSTOP, pids...)
		return func() { signal(syscall.SIGCONT, pids...) }
	}}
}

func writerItself(c *cluster, _ *rand.Rand) []int { return []int{c.primary().pid} }
func wholeWriter(c *cluster, _ *rand.Rand) []int  { return c.primary().all() }
func writersChild(title string) func(*cluster, *rand.Rand) []int {
	return func(c *cluster, _ *rand.Rand) []int { return []int{c.primary().child(title)} }
}
func oneReader(c *cluster, r *rand.Rand) server {
	if all := c.standbys(); len(all) > 0 {
		return all[r.IntN(len(all))]
	}
	return server{}
}
func own(names ...string) func(*cluster, *rand.Rand) []int {
	return func(c *cluster, _ *rand.Rand) []int {
		var pids []int
		for _, name := range names {
			pids = append(pids, c.ours(name))
		}
		return pids
	}
}

// then has one fault follow another after a random time of at most this.
func then(name string, within time.Duration, faults ...fault) fault {
	return fault{name: name, limit: 2 * limit, do: func(c *cluster, r *rand.Rand) func() {
		for i, f := range faults {
			if i > 0 {
				time.Sleep(time.Duration(r.Int64N(int64(within)))) // not synchronisation: the moment of the fault
			}
			if undo := f.do(c, r); undo != nil {
				time.Sleep(f.lasts)
				undo()
			}
		}
		return nil
	}}
}

var killWriter = kill("writer's postmaster killed", writerItself)

// faults are all that can happen in any order.
var faults = []fault{
	killWriter,
	kill("all processes of the writer killed", wholeWriter),
	kill("a backend of the writer killed", writersChild("postgres postgres")),
	kill("writer's checkpointer killed", writersChild("checkpointer")),
	kill("writer's walwriter killed", writersChild("walwriter")),
	kill("walsender to the log killed", writersChild("walsender")),
	kill("reader's postmaster killed", func(c *cluster, r *rand.Rand) []int { return []int{oneReader(c, r).pid} }),
	kill("reader's walreceiver killed", func(c *cluster, r *rand.Rand) []int { return []int{oneReader(c, r).child("walreceiver")} }),
	kill("reader's startup process killed", func(c *cluster, r *rand.Rand) []int { return []int{oneReader(c, r).child("startup")} }),
	kill("every server killed", func(c *cluster, _ *rand.Rand) []int {
		var pids []int
		for _, s := range c.servers() {
			pids = append(pids, s.all()...)
		}
		return pids
	}),
	freeze("writer's postmaster stopped for 5 s", 5*time.Second, writerItself),
	freeze("all processes of the writer stopped for 5 s", 5*time.Second, wholeWriter),
	freeze("all processes of the writer stopped for 1 s", time.Second, wholeWriter),
	{name: "all processes of the writer stopped for 15 s, and the log killed", lasts: 15 * time.Second, limit: limit, do: func(c *cluster, _ *rand.Rand) func() {
		pids := c.primary().all()
		signal(syscall.SIGSTOP, pids...)
		signal(syscall.SIGKILL, c.ours("log"))
		return func() { signal(syscall.SIGCONT, pids...) }
	}},
	freeze("reader stopped for 4 s", 4*time.Second, func(c *cluster, r *rand.Rand) []int { return oneReader(c, r).all() }),
	kill("log killed", own("log")),
	kill("node killed", own("node")),
	kill("endpoint killed", own("endpoint")),
	kill("control killed", own("control")),
	kill("etcd killed", own("etcd")),
	kill("supervisor killed", own("supervisor")),
	{name: "every process of ours killed, and the server started", limit: limit, do: func(c *cluster, r *rand.Rand) func() {
		signal(syscall.SIGKILL, own("supervisor", "control", "node", "log", "endpoint", "etcd")(c, r)...)
		c.start()
		return nil
	}},
	{name: "power cut, and the server started", limit: limit, do: func(c *cluster, r *rand.Rand) func() {
		signal(syscall.SIGKILL, own("supervisor", "control", "node", "log", "endpoint", "etcd")(c, r)...)
		for _, s := range c.servers() {
			signal(syscall.SIGKILL, s.all()...)
		}
		c.start()
		return nil
	}},
	freeze("log stopped for 3 s", 3*time.Second, own("log")),
	freeze("node stopped for 4 s", 4*time.Second, own("node")),
	freeze("endpoint stopped for 2 s", 2*time.Second, own("endpoint")),
	freeze("control stopped for 4 s", 4*time.Second, own("control")),
	freeze("etcd stopped for 8 s", 8*time.Second, own("etcd")),
	then("writer killed, and control while it fails over", 300*time.Millisecond, killWriter, kill("", own("control"))),
	then("writer killed, and node while it fails over", 300*time.Millisecond, killWriter, kill("", own("node"))),
	then("writer killed, and the log while it fails over", 300*time.Millisecond, killWriter, kill("", own("log"))),
	then("writer killed, and etcd while it fails over", 300*time.Millisecond, killWriter, kill("", own("etcd"))),
	then("writer killed, and the endpoint while it fails over", 300*time.Millisecond, killWriter, kill("", own("endpoint"))),
	then("writer killed, and a reader while it fails over", 300*time.Millisecond, killWriter,
		kill("", func(c *cluster, r *rand.Rand) []int { return []int{oneReader(c, r).pid} })),
	then("writer killed, and the next one", 2*time.Second, killWriter, killWriter),
	then("writer killed four times", time.Second, killWriter, killWriter, killWriter, killWriter),
	then("writer killed while etcd is stopped", 500*time.Millisecond,
		fault{do: func(c *cluster, r *rand.Rand) func() {
			etcd := c.ours("etcd")
			signal(syscall.SIGSTOP, etcd)
			killWriter.do(c, r)
			return func() { signal(syscall.SIGCONT, etcd) }
		}, lasts: 3 * time.Second}),
	{name: "FailoverDBCluster", limit: limit, do: func(c *cluster, _ *rand.Rand) func() {
		c.failOver()
		return nil
	}},
	{name: "FailoverDBCluster, and the writer killed meanwhile", limit: 2 * limit, do: func(c *cluster, r *rand.Rand) func() {
		c.failOver()
		time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond) // not synchronisation: the moment of the fault
		killWriter.do(c, r)
		return nil
	}},
	{name: "FailoverDBCluster, and node and control killed meanwhile", limit: 2 * limit, do: func(c *cluster, r *rand.Rand) func() {
		c.failOver()
		time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond) // not synchronisation: the moment of the fault
		signal(syscall.SIGKILL, own("node", "control")(c, r)...)
		return nil
	}},
	{name: "a copy of the log deleted", limit: limit, do: func(c *cluster, r *rand.Rand) func() {
		c.remove(c.copies(), r)
		return nil
	}},
	{name: "a copy of the log deleted and the log killed", limit: limit, do: func(c *cluster, r *rand.Rand) func() {
		c.remove(c.copies(), r)
		signal(syscall.SIGKILL, c.ours("log"))
		return nil
	}},
	{name: "a bit of a copy of the log flipped, and the writer killed", limit: limit, do: func(c *cluster, r *rand.Rand) func() {
		c.flipBit(r)
		return killWriter.do(c, r)
	}},
	{name: "data directory of the writer deleted", limit: 2 * limit, do: func(c *cluster, _ *rand.Rand) func() {
		if s := c.primary(); s.pid != 0 {
			_ = os.RemoveAll(filepath.Join(s.dir, "data"))
			signal(syscall.SIGKILL, s.all()...)
		}
		return nil
	}},
	{name: "data directory of a reader deleted", limit: 2 * limit, do: func(c *cluster, r *rand.Rand) func() {
		if s := oneReader(c, r); s.pid != 0 {
			_ = os.RemoveAll(filepath.Join(s.dir, "data"))
			signal(syscall.SIGKILL, s.all()...)
		}
		return nil
	}},
	{name: "clients cancel while they wait for the quorum", limit: limit, do: func(c *cluster, _ *rand.Rand) func() {
		log := c.ours("log")
		signal(syscall.SIGSTOP, log)
		for range 20 {
			_, _ = c.in.Query(c.reader, "SELECT 1::text")
			c.cancelWaiting()
			time.Sleep(50 * time.Millisecond) // not synchronisation: cancels go on for a second
		}
		signal(syscall.SIGCONT, log)
		return nil
	}},
	{name: "writer killed after clients cancelled in vain", limit: limit, do: func(c *cluster, r *rand.Rand) func() {
		log := c.ours("log")
		signal(syscall.SIGSTOP, log)
		time.Sleep(200 * time.Millisecond) // not synchronisation: commits pile up
		c.cancelWaiting()
		killWriter.do(c, r)
		signal(syscall.SIGCONT, log)
		return nil
	}},
}

// copies are the directories of the log's copies.
func (c *cluster) copies() []string {
	dirs, _ := filepath.Glob(filepath.Join(c.zones(), "*", "*", "wal-[0-9]"))
	return dirs
}

func (c *cluster) remove(dirs []string, r *rand.Rand) {
	if len(dirs) > 0 {
		_ = os.RemoveAll(dirs[r.IntN(len(dirs))])
	}
}

// flipBit damages one copy of the log somewhere in its last megabyte.
func (c *cluster) flipBit(r *rand.Rand) {
	copies := c.copies()
	if len(copies) == 0 {
		return
	}
	segments, _ := filepath.Glob(filepath.Join(copies[r.IntN(len(copies))], strings.Repeat("[0-9A-F]", 24)))
	if len(segments) == 0 {
		return
	}
	file, err := os.OpenFile(segments[len(segments)-1], os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return
	}
	at := info.Size() - 1 - r.Int64N(min(info.Size(), 1<<20))
	b := make([]byte, 1)
	if _, err := file.ReadAt(b, at); err == nil {
		_, _ = file.WriteAt([]byte{b[0] ^ 1<<r.IntN(8)}, at)
	}
}

// cancelWaiting has a user cancel what waits for the log's quorum.
func (c *cluster) cancelWaiting() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := c.in.Connect(c.writer, "postgres", "postgres")
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, "SELECT pg_cancel_backend(pid)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid <> pg_backend_pid() AND usename = current_user")
	_, _ = pgx.CollectRows(rows, pgx.RowTo[string])
}
