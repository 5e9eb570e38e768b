package workdir_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/workdir"
)

// child is set for a process that is a test which will be killed.
const child = "WORKDIR_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		if err := leave(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		select {}
	}
	os.Exit(m.Run())
}

// leave starts servers of a kind in a session of their own, and says what they are.
func leave() error {
	d, err := workdir.Make("wd")
	if err != nil {
		return err
	}
	file := filepath.Join(d.Path, "data")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	working := exec.Command("sleep", "600")
	working.Dir = d.Path
	named := exec.Command("tail", "-f", file)
	for _, cmd := range []*exec.Cmd{working, named} {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return err
		}
	}
	fmt.Println(d.Path, working.Process.Pid, named.Process.Pid)
	return nil
}

func TestWhatAKilledTestHasStartedEndsWithIt(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), child+"=yes")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) != 3 {
		t.Fatal(line, err)
	}
	for _, pid := range fields[1:] {
		if !runs(pid) {
			t.Fatalf("%s does not run", pid)
		}
	}
	if err := errors.Join(cmd.Process.Kill(), ignore(cmd.Wait())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its processes and its directory are gone", func() bool {
		_, err := os.Stat(fields[0])
		return errors.Is(err, os.ErrNotExist) && !runs(fields[1]) && !runs(fields[2])
	})
}

func TestDirectoryGoesWithTheTest(t *testing.T) {
	var dir string
	t.Run("test", func(t *testing.T) {
		dir = workdir.New(t, "wd")
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o711 {
			t.Errorf("%v, %v", info, err)
		}
	})
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// runs says whether a process is there and no zombie.
func runs(pid string) bool {
	if _, err := strconv.Atoi(pid); err != nil {
		return false
	}
	_, err := os.Readlink(filepath.Join("/proc", pid, "exe"))
	return err == nil
}

func ignore(error) error { return nil }

func eventually(t *testing.T, fact string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", fact)
		}
	}
}
