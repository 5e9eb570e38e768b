package contain

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits are what a program may use, with all that it starts.
type Limits struct {
	Memory    int64 // bytes
	Processes int
}

// limits are the control groups below which ours are made.
type limits struct {
	memory, processes string // the same directory in version 2
	unified           bool
}

// groups is the directory of our control groups.
const groups = "daybreak"

// findLimits finds where control groups can be made: below our own in version 1,
// beside it in version 2, where one that has processes has none below.
func findLimits() (limits, error) {
	own, err := ownGroups()
	if err != nil {
		return limits{}, err
	}
	mounts, err := groupMounts()
	if err != nil {
		return limits{}, err
	}
	var l limits
	if dir := mounts["memory"]; dir != "" && mounts["pids"] != "" {
		l.memory = filepath.Join(dir, own["memory"], groups)
		l.processes = filepath.Join(mounts["pids"], own["pids"], groups)
	} else if dir := mounts[""]; dir != "" {
		l.memory = filepath.Join(dir, filepath.Dir(own[""]), groups)
		l.processes, l.unified = l.memory, true
	} else {
		return limits{}, errors.New("no control groups are mounted")
	}
	for _, dir := range []string{l.memory, l.processes} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return limits{}, fmt.Errorf("no control group can be made: %w", err)
		}
	}
	if l.unified {
		if err := os.WriteFile(filepath.Join(l.memory, "cgroup.subtree_control"), []byte("+memory +pids"), 0); err != nil {
			return limits{}, fmt.Errorf("control groups do not limit memory and processes: %w", err)
		}
	}
	// Who does not own a directory that is there learns it here.
	if err := unix.Access(l.memory, unix.W_OK); err != nil {
		return limits{}, fmt.Errorf("no control group can be made: %w", err)
	}
	return l, nil
}

// ownGroups are our control groups, by controller; that of version 2 has no name.
func ownGroups() (map[string]string, error) {
	own := map[string]string{}
	err := eachLine("/proc/self/cgroup", func(line string) {
		if fields := strings.SplitN(line, ":", 3); len(fields) == 3 {
			for controller := range strings.SplitSeq(fields[1], ",") {
				own[controller] = fields[2]
			}
		}
	})
	return own, err
}

// groupMounts is where the controllers are mounted.
func groupMounts() (map[string]string, error) {
	mounts := map[string]string{}
	err := eachLine("/proc/self/mounts", func(line string) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 4:
		case fields[2] == "cgroup2":
			mounts[""] = fields[1]
		case fields[2] == "cgroup":
			for option := range strings.SplitSeq(fields[3], ",") {
				if option == "memory" || option == "pids" {
					mounts[option] = fields[1]
				}
			}
		}
	})
	return mounts, err
}

func eachLine(path string, f func(string)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		f(lines.Text())
	}
	return lines.Err()
}

// Limit bounds a process, and what it starts from now on. The name is that of its
// control group. It does nothing where there are no control groups: Look says so.
func Limit(name string, pid int, to Limits) error {
	host := Look()
	if host.Limits != nil {
		return nil
	}
	memory, processes := "memory.limit_in_bytes", "pids.max"
	if host.limits.unified {
		memory = "memory.max"
	}
	for _, set := range []struct{ dir, file, value string }{
		{host.limits.memory, memory, strconv.FormatInt(to.Memory, 10)},
		{host.limits.processes, processes, strconv.Itoa(to.Processes)},
		{host.limits.memory, "cgroup.procs", strconv.Itoa(pid)},
		{host.limits.processes, "cgroup.procs", strconv.Itoa(pid)},
	} {
		dir := filepath.Join(set.dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("limit memory and processes: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, set.file), []byte(set.value), 0); err != nil {
			return fmt.Errorf("limit memory and processes: %w", err)
		}
	}
	return nil
}

// Unlimit removes the control group of a program that has ended.
func Unlimit(name string) {
	host := Look()
	if host.Limits != nil {
		return
	}
	for _, dir := range []string{host.limits.memory, host.limits.processes} {
		_ = os.Remove(filepath.Join(dir, name))
	}
}

// processesOfUser is more than the servers of one cluster need on a host.
const processesOfUser = 16384

// LimitByUser bounds the processes of each user that this process starts programs
// for, where control groups do not. Root itself has no such limit; an ordinary user's
// other programs would count too, so that nothing is done then.
func LimitByUser() error {
	if os.Geteuid() != 0 || Look().Limits == nil {
		return nil
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		return fmt.Errorf("limit processes: %w", err)
	}
	most := min(limit.Max, processesOfUser)
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		return fmt.Errorf("limit processes: %w", err)
	}
	return nil
}
