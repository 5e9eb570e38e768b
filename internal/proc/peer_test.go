package proc

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain is also the process that listens, when it is started as that.
func TestMain(m *testing.M) {
	path := os.Getenv("LISTEN_AT")
	if path == "" {
		os.Exit(m.Run())
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("listening")
	for {
		if _, err := l.Accept(); err != nil {
			panic(err)
		}
	}
}

// listener starts a process that listens, and returns a connection to it and the
// end of a pipe that closes with the process's files.
func listener(t *testing.T, path string) (*exec.Cmd, *net.UnixConn, io.Reader) {
	t.Helper()
	_ = os.Remove(path)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LISTEN_AT="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := io.ReadFull(out, make([]byte, len("listening"))); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return cmd, conn.(*net.UnixConn), out
}

func TestPeerIsDyingBeforeItsFilesAreClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	for range 50 {
		cmd, conn, out := listener(t, path)
		p, err := PeerOf(conn)
		if err != nil {
			t.Fatal(err)
		}
		if p.pid != cmd.Process.Pid || p.Dying() {
			t.Fatalf("the peer is %d, dying: %v; want %d, which lives", p.pid, p.Dying(), cmd.Process.Pid)
		}
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out) // until it is closed
		if !p.Dying() {
			t.Fatal("a process that has closed its files is not dying")
		}
		_ = cmd.Wait()
		if !p.Dying() {
			t.Fatal("a process that is gone is not dying")
		}
		p.Release()
	}
	if len(peers.all) != 0 {
		t.Errorf("%d peers are kept", len(peers.all))
	}
}

func TestConnectionsToOneProcessShareIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	_, conn, _ := listener(t, path)
	again, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	a, err := PeerOf(conn)
	if err != nil {
		t.Fatal(err)
	}
	b, err := PeerOf(again.(*net.UnixConn))
	if err != nil {
		t.Fatal(err)
	}
	a.Release()
	if a != b || b.Dying() {
		t.Error("the second connection has a peer of its own, or one that was closed with the first's")
	}
	b.Release()
}
