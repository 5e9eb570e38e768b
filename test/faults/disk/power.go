package disk

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// unsynced is what was done to a file since it was last synced.
type unsynced struct {
	fd   int   // of our own
	size int64 // when it was synced
	was  []extent
}

// extent is what stood somewhere before a write.
type extent struct {
	at   int64
	data []byte // shorter than the write when the file was
	n    int64  // length of the write
}

func (t *table) track(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tracking = on
	for ino := range t.files {
		t.forget(ino)
	}
}

// forget is for what is synced.
func (t *table) forget(ino uint64) {
	if u := t.files[ino]; u != nil {
		_ = syscall.Close(u.fd)
		delete(t.files, ino)
	}
}

// remember notes what a write is about to change.
func (t *table) remember(ino uint64, fd int, at, n int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.tracking {
		return nil
	}
	u := t.files[ino]
	if u == nil {
		var st syscall.Stat_t
		if err := syscall.Fstat(fd, &st); err != nil {
			return err
		}
		own, err := syscall.Open(filepath.Join("/proc/self/fd", strconv.Itoa(fd)), syscall.O_RDWR|syscall.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a file once more: %w", err)
		}
		u = &unsynced{fd: own, size: st.Size}
		t.files[ino] = u
	}
	data := make([]byte, n)
	got, err := syscall.Pread(u.fd, data, at)
	if err != nil {
		return os.NewSyscallError("pread", err)
	}
	u.was = append(u.was, extent{at: at, data: data[:got], n: n})
	return nil
}

func (t *table) synced(ino uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(ino)
}

// crash takes back what a disk need not have kept: of each sector some of the last
// writes, and the growth of some files.
func (t *table) crash(seed uint64) (lost int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := rand.New(rand.NewPCG(seed, 0))
	for ino, u := range t.files {
		n, err := u.lose(r)
		if err != nil {
			return lost, err
		}
		lost += n
		t.forget(ino)
	}
	return lost, nil
}

func (u *unsynced) lose(r *rand.Rand) (lost int, err error) {
	kept := map[int64]bool{} // sectors that have reached the disk in the meantime
	for i := len(u.was) - 1; i >= 0; i-- {
		e := u.was[i]
		for at := e.at / sector * sector; at < e.at+e.n; at += sector {
			if kept[at] || r.IntN(2) == 0 {
				kept[at] = true
				continue
			}
			lost++
			from, to := max(at, e.at), min(at+sector, e.at+e.n)
			old := make([]byte, to-from) // zeros beyond what the file had
			if from-e.at < int64(len(e.data)) {
				copy(old, e.data[from-e.at:])
			}
			if _, err := syscall.Pwrite(u.fd, old, from); err != nil {
				return lost, os.NewSyscallError("pwrite", err)
			}
		}
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(u.fd, &st); err != nil {
		return lost, err
	}
	if st.Size > u.size && r.IntN(2) == 0 {
		lost++
		return lost, os.NewSyscallError("ftruncate", syscall.Ftruncate(u.fd, u.size+r.Int64N(st.Size-u.size)))
	}
	return lost, nil
}
