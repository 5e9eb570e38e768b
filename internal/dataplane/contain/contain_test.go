package contain

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain makes the test program what is contained, too.
func TestMain(m *testing.M) {
	if what := os.Getenv("CONTAINED"); what != "" {
		inside(what)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// nobody is the user of what is contained when the tests run as root.
const nobody = 65534

// stand is a directory of what the contained program gets, and what it does not.
type stand struct {
	box               Box
	mine, read, other string
	cmd               *exec.Cmd
}

func newStand(t *testing.T, what string) stand {
	t.Helper()
	dir, err := os.MkdirTemp("", "box")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := stand{mine: filepath.Join(dir, "mine"), read: filepath.Join(dir, "read"), other: filepath.Join(dir, "else")}
	for _, d := range []string{dir, s.mine, s.read, s.other} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o777); err != nil { // what is refused is not refused by its mode
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "file"), []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile(must(os.Executable()))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(s.read, "program")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	s.box = Box{Run: must(Program(program)), Read: []string{s.read}, Write: []string{s.mine}}
	s.cmd = exec.Command(program)
	s.cmd.Dir = s.mine
	s.cmd.Env = []string{"CONTAINED=" + what, "READ=" + s.read, "ELSE=" + s.other}
	s.cmd.Stderr = os.Stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 {
		s.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return s
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// inside is what the contained program does. It prints what it could do.
func inside(what string) {
	for name, f := range map[string]map[string]func() error{"files": files(), "calls": calls(), "memory": {"allocate": allocate}}[what] {
		err := f()
		fmt.Printf("%s: %v\n", name, err)
	}
}

func files() map[string]func() error {
	read := func(path string) func() error {
		return func() error { _, err := os.ReadFile(path); return err }
	}
	write := func(path string) func() error {
		return func() error { return os.WriteFile(path, []byte("x"), 0o644) }
	}
	return map[string]func() error{
		"read mine":  read("file"),
		"write mine": write("new"),
		"rename mine": func() error {
			return errors.Join(os.MkdirAll("sub", 0o755), os.WriteFile("a", nil, 0o644), os.Rename("a", "sub/b"))
		},
		"read what I may":   read(filepath.Join(os.Getenv("READ"), "file")),
		"write to null":     write("/dev/null"),
		"write what I read": write(filepath.Join(os.Getenv("READ"), "file")),
		"read elsewhere":    read(filepath.Join(os.Getenv("ELSE"), "file")),
		"write elsewhere":   write(filepath.Join(os.Getenv("ELSE"), "file")),
		"go up":             read("../else/file"),
		"passwords":         read("/etc/shadow"),
		"my environment":    read("/proc/self/environ"),
		"write to the root": write("/file"),
		"run a shell":       func() error { return exec.Command("/bin/sh", "-c", "true").Run() },
		"run what I wrote": func() error {
			self := must(os.ReadFile(filepath.Join(os.Getenv("READ"), "program")))
			return errors.Join(os.WriteFile("copy", self, 0o755), exec.Command("./copy").Run())
		},
		"list the root": func() error {
			entries, err := os.ReadDir("/")
			if err == nil && len(entries) > 10 {
				return nil
			}
			return errors.New("little or nothing is there")
		},
	}
}

func calls() map[string]func() error {
	call := func(number uintptr, args ...uintptr) func() error {
		return func() error {
			var a [6]uintptr
			copy(a[:], args)
			if _, _, errno := syscall.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
				return errno
			}
			return nil
		}
	}
	return map[string]func() error{
		"unix socket":           call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM),
		"TCP socket":            call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM),
		"UDP socket":            call(unix.SYS_SOCKET, unix.AF_INET6, unix.SOCK_DGRAM),
		"netlink socket":        call(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW),
		"packet socket":         call(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW),
		"ptrace":                call(unix.SYS_PTRACE, unix.PTRACE_TRACEME),
		"memory of processes":   call(unix.SYS_PROCESS_VM_READV, 1),
		"user namespace":        call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER),
		"clone into namespaces": call(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD)),
		"clone3":                call(unix.SYS_CLONE3, 0, 88),
		"mount":                 call(unix.SYS_MOUNT),
		"bpf":                   call(unix.SYS_BPF),
		"perf":                  call(unix.SYS_PERF_EVENT_OPEN),
		"keys":                  call(unix.SYS_KEYCTL),
		"userfaultfd":           call(unix.SYS_USERFAULTFD),
		"io_uring":              call(unix.SYS_IO_URING_SETUP, 1),
		"kexec":                 call(unix.SYS_KEXEC_LOAD),
		"x32 call":              call(0x40000000 + unix.SYS_GETPID),
		"new privileges": func() error {
			if on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); on == 1 || err != nil {
				return errors.New("none")
			}
			return nil
		},
	}
}

// allocate uses 256 MiB when it is told to.
func allocate() error {
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	memory := make([]byte, 256<<20)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	return nil
}

// says runs the contained program to its end and returns what it said of each thing.
func (s stand) says(t *testing.T) map[string]string {
	t.Helper()
	var out strings.Builder
	s.cmd.Stdout = &out
	if err := s.box.Do(s.cmd.Run); err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for line := range strings.Lines(out.String()) {
		name, result, _ := strings.Cut(strings.TrimSpace(line), ": ")
		said[name] = result
	}
	return said
}

func TestOnlyTheFilesOfTheBox(t *testing.T) {
	for _, sameFiles := range []bool{true, false} {
		t.Run(fmt.Sprintf("same files %v", sameFiles), func(t *testing.T) {
			s := newStand(t, "files")
			s.box.SameFiles = sameFiles
			allowed := map[string]bool{"read mine": true, "write mine": true, "rename mine": true, "read what I may": true, "write to null": true}
			for name, result := range s.says(t) {
				if worked := result == "<nil>"; worked != allowed[name] {
					t.Errorf("%s: %s", name, result)
				}
			}
			if _, err := os.Stat(filepath.Join(s.mine, "sub", "b")); err != nil {
				t.Errorf("what was written is not there: %v", err)
			}
		})
	}
}

func TestOnlyTheCallsOfADatabase(t *testing.T) {
	want := map[string]string{"unix socket": "<nil>", "clone3": unix.ENOSYS.Error(), "new privileges": "none"}
	for name, result := range newStand(t, "calls").says(t) {
		expected, ok := want[name]
		if !ok {
			expected = unix.EPERM.Error()
		}
		if result != expected {
			t.Errorf("%s: %s, want %s", name, result, expected)
		}
	}
}

func TestOnlySocketsThatAreReached(t *testing.T) {
	s := newStand(t, "files")
	listener, err := net.Listen("unix", filepath.Join(s.other, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if host := Look(); host.Namespaces != nil {
		t.Logf("sockets are kept apart by their modes only: %v", host.Namespaces)
		return
	}
	for reach, want := range map[string]bool{s.other: true, s.read: false} {
		box := s.box
		box.Reach = []string{reach}
		err := box.Do(func() error {
			conn, err := net.Dial("unix", listener.Addr().String())
			if err == nil {
				err = conn.Close()
			}
			return err
		})
		if (err == nil) != want {
			t.Errorf("with a reach of %s: %v", reach, err)
		}
	}
}

func TestTheCallerStaysAsItWas(t *testing.T) {
	for range 20 {
		if err := (Box{Run: []string{"/usr"}, Write: []string{"/tmp"}}).Do(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for n := contained(t); n > 0; n = contained(t) { // they end a moment later
		if time.Now().After(deadline) {
			t.Fatalf("%d threads are left contained", n)
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Errorf("the network is gone: %v", err)
	}
}

// contained counts the threads of this process that are.
func contained(t *testing.T) (n int) {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(filepath.Join("/proc/self/task", thread.Name(), "status"))
		if err == nil && strings.Contains(string(status), "NoNewPrivs:\t1") {
			n++
		}
	}
	return n
}

func TestMemoryIsLimited(t *testing.T) {
	if host := Look(); host.Limits != nil {
		if os.Geteuid() == 0 {
			t.Logf("root cannot limit here: %v", host.Limits)
		}
		return
	}
	s := newStand(t, "memory")
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.box.Do(s.cmd.Start); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(filepath.Dir(s.mine))
	err = Limit(name, s.cmd.Process.Pid, Limits{Memory: 64 << 20, Processes: 100})
	if err != nil {
		_ = s.cmd.Process.Kill()
		t.Error(err)
	}
	_, _ = fmt.Fprintln(in)
	var exit *exec.ExitError
	if err := s.cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("256 MiB in 64 MiB: %v", err)
	}
	Unlimit(name)
	if _, err := os.Stat(filepath.Join(Look().limits.memory, name)); err == nil {
		t.Error("the control group is left")
	}
}

// BenchmarkStart says what it costs to start a program contained.
func BenchmarkStart(b *testing.B) {
	program := must(Program("/usr/bin/true"))
	for name, box := range map[string]func(func() error) error{
		"plain":      func(f func() error) error { return f() },
		"landlock":   Box{Run: program, Write: []string{"/tmp"}, SameFiles: true}.Do,
		"namespaces": Box{Run: program, Write: []string{"/tmp"}}.Do,
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				cmd := exec.Command(program[0])
				if err := box(cmd.Start); err != nil {
					b.Fatal(err)
				}
				_ = cmd.Wait()
			}
		})
	}
}
