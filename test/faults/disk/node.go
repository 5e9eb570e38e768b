package disk

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// node is a file or a directory. What changes directories is weighed here, what
// is done with an open file in file.go.
type node struct {
	fs.LoopbackNode
	table *table
}

// WrapChild makes the nodes below one of ours ours too.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	child, ok := ops.(*fs.LoopbackNode)
	if !ok {
		return ops
	}
	return &node{LoopbackNode: fs.LoopbackNode{RootData: child.RootData}, table: n.table}
}

func (n *node) path() string { return n.Path(n.RootData.RootNode.EmbeddedInode()) }

func (n *node) below(name string) func() string {
	return func() string { return n.path() + "/" + name }
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.table.weigh(n.below(name), Read); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Lookup(ctx, name, out)
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.table.weigh(n.below(name), Extend, Write); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *node) Mknod(ctx context.Context, name string, mode, dev uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.table.weigh(n.below(name), Extend, Write); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Mknod(ctx, name, mode, dev, out)
}

func (n *node) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.table.weigh(n.below(name), Extend, Write); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Symlink(ctx, target, name, out)
}

func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.table.weigh(n.below(name), Extend, Write); errno != 0 {
		return nil, errno
	}
	if t, ok := target.(*node); ok {
		target = &t.LoopbackNode
	}
	return n.LoopbackNode.Link(ctx, target, name, out)
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	if errno := n.table.weigh(n.below(name), Write); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Unlink(ctx, name)
}

func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	if errno := n.table.weigh(n.below(name), Write); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rmdir(ctx, name)
}

func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if errno := n.table.weigh(n.below(name), Write); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rename(ctx, name, parent, newName, flags)
}

func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if errno := n.table.weigh(n.path, Write); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Setattr(ctx, f, in, out)
}

// Fsync of a directory comes here too: what changes directories counts as synced
// at once.
func (n *node) Fsync(ctx context.Context, f fs.FileHandle, flags uint32) syscall.Errno {
	if errno := n.table.weigh(n.path, Sync); errno != 0 {
		return errno
	}
	if open, ok := f.(*file); ok {
		n.table.synced(open.ino)
	}
	return 0
}

func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.table.weigh(n.path, Read); errno != 0 {
		return nil, 0, errno
	}
	f, errno := n.open(flags)
	return f, 0, errno
}

func (n *node) open(flags uint32) (fs.FileHandle, syscall.Errno) {
	// What is remembered of a write has to be read.
	if flags&syscall.O_ACCMODE == syscall.O_WRONLY {
		flags = flags&^syscall.O_ACCMODE | syscall.O_RDWR
	}
	flags &^= syscall.O_APPEND | syscall.O_CREAT | syscall.O_EXCL | syscall.O_DIRECT | syscall.O_DSYNC | syscall.O_SYNC | fuse.FMODE_EXEC
	fd, err := syscall.Open(n.RootData.Path+"/"+n.path(), int(flags)|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	return newFile(n, fd)
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.table.weigh(n.below(name), Extend, Write); errno != 0 {
		return nil, nil, 0, errno
	}
	inode, theirs, _, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	fd, err := syscall.Open(n.RootData.Path+"/"+n.below(name)(), syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if r, ok := theirs.(fs.FileReleaser); ok {
		r.Release(ctx)
	}
	if err != nil {
		return nil, nil, 0, fs.ToErrno(err)
	}
	child, ok := inode.Operations().(*node)
	if !ok {
		_ = syscall.Close(fd)
		return nil, nil, 0, syscall.EIO
	}
	f, errno := newFile(child, fd)
	return inode, f, 0, errno
}

func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, unix.ENOSYS // the kernel reads and writes then
}

func (n *node) Tmpfile(context.Context, uint32, uint32, *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	return nil, nil, 0, unix.EOPNOTSUPP
}
