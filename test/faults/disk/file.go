package disk

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// file is an open file.
type file struct {
	node *node
	fd   int
	ino  uint64
}

func newFile(n *node, fd int) (fs.FileHandle, syscall.Errno) {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		_ = syscall.Close(fd)
		return nil, fs.ToErrno(err)
	}
	return &file{node: n, fd: fd, ino: st.Ino}, 0
}

func (f *file) Read(_ context.Context, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := f.node.table.weigh(f.node.path, Read); errno != 0 {
		return nil, errno
	}
	n, err := syscall.Pread(f.fd, buf, off)
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(buf[:n]), 0
}

// needs says what a change of bytes is: beyond the end it needs room.
func (f *file) needs(end int64) []Op {
	var st syscall.Stat_t
	if syscall.Fstat(f.fd, &st) == nil && end > st.Size {
		return []Op{Extend, Write}
	}
	return []Op{Write}
}

func (f *file) Write(_ context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := f.node.table.weigh(f.node.path, f.needs(off+int64(len(data)))...); errno != 0 {
		return 0, errno
	}
	if err := f.node.table.remember(f.ino, f.fd, off, int64(len(data))); err != nil {
		return 0, syscall.EIO
	}
	n, err := syscall.Pwrite(f.fd, data, off)
	return uint32(max(n, 0)), fs.ToErrno(err)
}

func (f *file) Allocate(_ context.Context, off, size uint64, mode uint32) syscall.Errno {
	if errno := f.node.table.weigh(f.node.path, f.needs(int64(off+size))...); errno != 0 {
		return errno
	}
	return fs.ToErrno(syscall.Fallocate(f.fd, mode, int64(off), int64(size)))
}

func (f *file) Lseek(_ context.Context, off uint64, whence uint32) (uint64, syscall.Errno) {
	n, err := unix.Seek(f.fd, int64(off), int(whence))
	return uint64(n), fs.ToErrno(err)
}

func (f *file) Flush(context.Context) syscall.Errno { return 0 }

func (f *file) Release(context.Context) syscall.Errno { return fs.ToErrno(syscall.Close(f.fd)) }

func (f *file) Getattr(_ context.Context, out *fuse.AttrOut) syscall.Errno {
	var st syscall.Stat_t
	if err := syscall.Fstat(f.fd, &st); err != nil {
		return fs.ToErrno(err)
	}
	out.FromStat(&st)
	return 0
}

// Setattr is weighed by the node.
func (f *file) Setattr(ctx context.Context, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	var err error
	if mode, ok := in.GetMode(); ok {
		err = syscall.Fchmod(f.fd, mode)
	}
	uid, uok := in.GetUID()
	gid, gok := in.GetGID()
	if err == nil && (uok || gok) {
		owner, group := -1, -1
		if uok {
			owner = int(uid)
		}
		if gok {
			group = int(gid)
		}
		err = syscall.Fchown(f.fd, owner, group)
	}
	if size, ok := in.GetSize(); ok && err == nil {
		err = syscall.Ftruncate(f.fd, int64(size))
	}
	if err != nil {
		return fs.ToErrno(err)
	}
	return f.Getattr(ctx, out)
}
