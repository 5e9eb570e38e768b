package contain

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Host is what can be contained how on this host, by this user.
type Host struct {
	Namespaces error  // why a program gets no namespaces of its own; nil: it does
	Landlock   int    // the version of landlock; 0: the kernel has none
	Limits     error  // why memory and processes are not limited; nil: they are
	limits     limits // where they are
}

// Look says what there is, which it tries once.
func Look() Host { return look() }

var look = sync.OnceValue(func() Host {
	var h Host
	done := make(chan error, 1)
	go onNewThread(func() { done <- tryNamespaces() })
	h.Namespaces = <-done
	h.Landlock = landlockVersion()
	h.limits, h.Limits = findLimits()
	return h
})

// tryNamespaces makes a small view of the file system in namespaces, on a thread
// that is then thrown away.
func tryNamespaces() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can make them")
	}
	return Box{}.enterNamespaces()
}

// Complete says whether nothing is missing.
func (h Host) Complete() bool {
	return h.Namespaces == nil && h.Landlock > 0 && h.Limits == nil
}

// String says what is done, and what not and why, for people.
func (h Host) String() string {
	done := []string{"no new privileges", "a filter of system calls", "unix sockets only"}
	var missing []string
	add := func(name string, err error) {
		if err == nil {
			done = append(done, name)
		} else {
			missing = append(missing, fmt.Sprintf("no %s (%v)", name, err))
		}
	}
	add("mount, network and ipc namespaces", h.Namespaces)
	var none error
	if h.Landlock == 0 {
		none = errors.New("the kernel has no landlock")
	}
	add("a list of files", none)
	add("limits of memory and processes", h.Limits)
	return strings.Join(append(done, missing...), "; ")
}

func landlockVersion() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(version)
}
