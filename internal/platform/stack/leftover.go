package stack

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// EndLeftovers ends the processes that an interrupted run left: Terraform and
// its providers, known by their working directory. Terraform itself dies with
// us; its providers may not.
func EndLeftovers(dir string) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		pids := workingIn(dir)
		if len(pids) == 0 || time.Now().After(deadline) {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond) // between looks at /proc
	}
}

func workingIn(dir string) []int {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, proc := range procs {
		cwd, err := os.Readlink(filepath.Join(proc, "cwd"))
		if err != nil || (cwd != dir && !strings.HasPrefix(cwd, dir+"/")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(proc)); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
