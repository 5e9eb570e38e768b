package postgres

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Image is the data directory of a server that does not run, in memory.
type Image struct {
	files []imageFile
}

type imageFile struct {
	header  tar.Header
	content []byte
}

// ReadImage reads the data directory of a server that was shut down, or has never
// run: a few dozen megabytes after Init.
func (s Server) ReadImage() (Image, error) {
	var img Image
	root, err := os.OpenRoot(s.dataDir())
	if err != nil {
		return img, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		f := imageFile{header: tar.Header{Name: path, Typeflag: tar.TypeDir, Mode: 0o700}}
		if !entry.IsDir() {
			if f.content, err = root.ReadFile(path); err != nil {
				return err
			}
			f.header.Typeflag, f.header.Mode, f.header.Size = tar.TypeReg, 0o600, int64(len(f.content))
		}
		img.files = append(img.files, f)
		return nil
	})
	return img, err
}

// Write writes the image as a base copy, which appears complete or not at all.
func (img Image) Write(path string) error {
	return writeBase(path, func(w io.Writer) error {
		out := tar.NewWriter(w)
		for _, f := range img.files {
			if err := out.WriteHeader(&f.header); err != nil {
				return err
			}
			if _, err := out.Write(f.content); err != nil {
				return err
			}
		}
		return out.Close()
	})
}

// BaseBackup writes a base copy of a running server, without its WAL.
func (s Server) BaseBackup(ctx context.Context, from Upstream, path string) error {
	if err := from.check(); err != nil {
		return err
	}
	return writeBase(path, func(w io.Writer) error {
		cmd := exec.CommandContext(ctx, s.path("pg_basebackup"), "--pgdata=-", "--format=tar",
			"--host="+from.SocketDir, fmt.Sprintf("--port=%d", Port), "--username="+ReplicationRole, "--no-password",
			"--checkpoint=fast", "--wal-method=none")
		cmd.Env, cmd.Dir, cmd.SysProcAttr = s.environment(), s.Dir, attributes(s.UID)
		cmd.Stdout = w
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := s.runContained(cmd); err != nil {
			return &commandError{program: "pg_basebackup", stderr: lastBytes([]byte(stderr.String()), logTail), err: err}
		}
		return nil
	})
}

func writeBase(path string, fill func(io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return err
	}
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write base copy: %w", err), f.Close(), os.Remove(tmp))
		}
	}()
	out, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	if err := fill(out); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// RestoreBase builds a standby's data directory from a base copy; it does nothing
// when a complete data directory is there.
func (s Server) RestoreBase(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("base copy: %w", err)
	}
	defer f.Close()
	return s.build(s.UID, func(dir string) error {
		in, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer in.Close()
		if err := untar(dir, in); err != nil {
			return fmt.Errorf("base copy %s: %w", path, err)
		}
		return s.markStandby(dir)
	})
}

func untar(dir string, r io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			if err := root.MkdirAll(filepath.Clean(h.Name), 0o700); err != nil {
				return err
			}
		case tar.TypeReg:
			if err := untarFile(root, h.Name, in); err != nil {
				return err
			}
		}
	}
}

func untarFile(root *os.Root, name string, r io.Reader) error {
	f, err := root.OpenFile(filepath.Clean(name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, r)
	return err
}

// Discard takes away a data directory that must not be started any more, in one
// step, and then what it held. The server must not run.
func (s Server) Discard() error {
	if err := s.hide(); err != nil {
		return err
	}
	return s.removeBuilds()
}
