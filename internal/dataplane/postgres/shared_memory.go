package postgres

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// What a killed server leaves in shared memory, its next start clears away. A
// server that is removed instead has no next start, so we follow the trail that
// PostgreSQL 15 would: postmaster.pid names a System V segment (PGShmemHeader in
// pg_shmem.h), that names the control segment of dynamic shared memory
// (dsm_control_header in dsm.c), and that names the others.
const (
	sharedMagic   = 679834894
	controlMagic  = 0x9a503d32
	controlHeader = 16 // bytes before the first item
	controlItem   = 40 // bytes of an item: handle, count of references, …
)

// removeSharedMemory frees it, as far as it is there and the server's.
func (s Server) removeSharedMemory() {
	l, err := s.readLock()
	if err != nil || l.shmID == 0 {
		return
	}
	var desc unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(l.shmID, unix.IPC_STAT, &desc); err != nil {
		return
	}
	if uint64(uint32(desc.Perm.Key)) != l.shmKey || int(desc.Perm.Uid) != s.owner() || desc.Nattch != 0 {
		return
	}
	if segment, err := unix.SysvShmAttach(l.shmID, 0, unix.SHM_RDONLY); err == nil {
		control, ok := controlHandle(segment)
		_ = unix.SysvShmDetach(segment)
		if ok {
			s.removeDynamic(control)
		}
	}
	_, _ = unix.SysvShmCtl(l.shmID, unix.IPC_RMID, nil)
}

func controlHandle(segment []byte) (handle uint32, ok bool) {
	if len(segment) < 28 || binary.NativeEndian.Uint32(segment) != sharedMagic {
		return 0, false
	}
	handle = binary.NativeEndian.Uint32(segment[24:])
	return handle, handle != 0
}

func (s Server) removeDynamic(control uint32) {
	content, err := os.ReadFile(dynamicSegment(control))
	if err != nil {
		return
	}
	for _, handle := range append(dynamicHandles(content), control) {
		path := dynamicSegment(handle)
		info, err := os.Lstat(path)
		if err == nil && int(info.Sys().(*syscall.Stat_t).Uid) == s.owner() {
			_ = os.Remove(path)
		}
	}
}

// dynamicHandles reads a control segment. Odd handles lie in the main segment.
func dynamicHandles(control []byte) []uint32 {
	if len(control) < controlHeader || binary.NativeEndian.Uint32(control) != controlMagic {
		return nil
	}
	var handles []uint32
	items := control[controlHeader:]
	for n := binary.NativeEndian.Uint32(control[4:]); n > 0 && len(items) >= controlItem; n-- {
		handle, references := binary.NativeEndian.Uint32(items), binary.NativeEndian.Uint32(items[4:])
		if references != 0 && handle&1 == 0 {
			handles = append(handles, handle)
		}
		items = items[controlItem:]
	}
	return handles
}

func dynamicSegment(handle uint32) string {
	return fmt.Sprintf("/dev/shm/PostgreSQL.%d", handle)
}
