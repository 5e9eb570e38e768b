// Package contain starts a program in such a way that it reaches nothing but what
// it is given, whatever code comes to run in it. It knows what the kernel offers,
// and nothing of PostgreSQL.
//
// What the kernel lets anybody do to itself is always done: no new privileges, a
// filter that refuses system calls that no database needs and all sockets but unix
// ones (seccomp), and a list of the files it may use (landlock). Root may do more:
// mount, network and ipc namespaces of the program's own, in which other files,
// networks and shared memory are not there.
//
// Namespaces, filters and rules belong to a thread, and a program inherits them from
// the thread that starts it. So a thread is made for each start, contained, and
// thrown away: no launcher runs in between, and the caller keeps its child.
package contain

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Box is what a program gets to see. Paths that do not exist are left out, but for
// those of Write and Run.
type Box struct {
	Run   []string // files that it may execute, and no others
	Read  []string // files and directories beside those of the system
	Write []string // directories it may change, of which it executes nothing
	Reach []string // directories with the sockets it may connect to
	// SameFiles says that the files stay where they are: no namespaces are made.
	SameFiles bool
}

// Do calls start on a thread that is contained, for start to start a program there,
// and to wait for it if it is to end with us. Whatever else start does may be
// refused.
func (b Box) Do(start func() error) error {
	done := make(chan error, 1)
	go onNewThread(func() { done <- b.do(start) })
	return <-done
}

// onNewThread calls f on a thread that ends with it: a goroutine that ends without
// unlocking takes its thread along. The first thread of a process cannot end, and
// stays as it is.
func onNewThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // on another thread, since this one is taken
		f()
	}()
	<-done
	runtime.UnlockOSThread()
}

func (b Box) do(start func() error) error {
	host := Look()
	view := b
	if host.Namespaces == nil && !b.SameFiles {
		if err := b.enterNamespaces(); err != nil {
			return fmt.Errorf("contain: %w", err)
		}
		// What is not to be seen is not there any more. What may be executed is left
		// to say.
		view = Box{Run: b.Run, Write: []string{"/"}}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("contain: no new privileges: %w", err)
	}
	if host.Landlock > 0 {
		if err := view.landlock(host.Landlock); err != nil {
			return fmt.Errorf("contain: landlock: %w", err)
		}
	}
	if err := filterCalls(); err != nil {
		return fmt.Errorf("contain: seccomp: %w", err)
	}
	return start()
}
