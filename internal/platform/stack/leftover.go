package stack

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// EndLeftovers ends the processes that an interrupted run in dir left: Terraform
// and its providers, known by the configuration in their environment, which is
// that run's alone. Terraform itself dies with us; its providers may not.
func EndLeftovers(dir string) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		pids := processesOf(dir)
		if len(pids) == 0 || time.Now().After(deadline) {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond) // between looks at /proc
	}
}

func processesOf(dir string) []int {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	mark := []byte("\x00" + configVariable + "=" + configFile(dir) + "\x00")
	var pids []int
	for _, proc := range procs {
		env, err := os.ReadFile(filepath.Join(proc, "environ"))
		if err != nil || !bytes.Contains(append([]byte{0}, env...), mark) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(proc)); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
