package wal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// Base copies are made by a node and kept by the host that the log is asked of:
// they belong beside the copies of the log, which goes on from them.

// baseStall is how long a base copy's transfer may stand still.
const baseStall = time.Minute

// PutBase stores what r gives as the base copy of a cluster that a zone of the
// host has. The one before is there until the new one is complete and durable.
func (c *Client) PutBase(ctx context.Context, cluster, zone string, r io.Reader) error {
	resp, err := c.base(ctx, http.MethodPut, cluster, zone, r)
	if err != nil {
		return fmt.Errorf("store a base copy of %s in %s: %w", cluster, zone, err)
	}
	return resp.Body.Close()
}

// GetBase reads the base copy of a cluster that a zone of the host has;
// fs.ErrNotExist: it has none. The caller closes it.
func (c *Client) GetBase(ctx context.Context, cluster, zone string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	resp, err := c.base(ctx, http.MethodGet, cluster, zone, nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("read the base copy of %s in %s: %w", cluster, zone, err)
	}
	return &watched{resp.Body, time.AfterFunc(baseStall, cancel), cancel}, nil
}

// StatBase returns the size of the base copy of a cluster that a zone of the host
// has; fs.ErrNotExist: it has none.
func (c *Client) StatBase(ctx context.Context, cluster, zone string) (int64, error) {
	resp, err := c.base(ctx, http.MethodHead, cluster, zone, nil)
	if err != nil {
		return 0, fmt.Errorf("look for the base copy of %s in %s: %w", cluster, zone, err)
	}
	return resp.ContentLength, resp.Body.Close()
}

// DropBase deletes the base copy of a cluster that a zone of the host has. None
// is fine.
func (c *Client) DropBase(ctx context.Context, cluster, zone string) error {
	resp, err := c.base(ctx, http.MethodDelete, cluster, zone, nil)
	if err != nil {
		return fmt.Errorf("delete the base copy of %s in %s: %w", cluster, zone, err)
	}
	return resp.Body.Close()
}

// base asks for a base copy. Without an error the answer is what was asked for.
func (c *Client) base(ctx context.Context, method, cluster, zone string, body io.Reader) (*http.Response, error) {
	at := "http://log/base/" + url.PathEscape(cluster) + "/" + url.PathEscape(zone)
	req, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach the log: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, fs.ErrNotExist
	}
	if _, err := decodeAnswer(resp.Body); err != nil {
		return nil, err
	}
	return nil, errors.New(resp.Status)
}

// watched is a body whose reading ends when nothing comes for baseStall.
type watched struct {
	io.ReadCloser
	timer  *time.Timer
	cancel context.CancelFunc
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(baseStall)
	return w.ReadCloser.Read(p)
}

func (w *watched) Close() error {
	w.timer.Stop()
	defer w.cancel()
	return w.ReadCloser.Close()
}

func (h *Host) handleBases(mux *http.ServeMux) {
	for method, f := range map[string]func(http.ResponseWriter, *http.Request, string) error{
		http.MethodPut: h.putBase, http.MethodGet: h.getBase, http.MethodDelete: h.dropBase,
	} {
		mux.HandleFunc(method+" /base/{cluster}/{zone}", func(w http.ResponseWriter, r *http.Request) {
			cluster, zone := r.PathValue("cluster"), r.PathValue("zone")
			err := checkNames(cluster, zone)
			if err == nil {
				err = f(w, r, h.config.Layout.Base(zone, cluster))
			}
			switch {
			case errors.Is(err, fs.ErrNotExist):
				w.WriteHeader(http.StatusNotFound)
			case err != nil:
				w.WriteHeader(http.StatusInternalServerError)
				_ = json.NewEncoder(w).Encode(answer{Error: err.Error()})
			}
		})
	}
}

// checkNames refuses what is no name of a directory: names come from other hosts.
func checkNames(names ...string) error {
	for _, name := range names {
		if name == "" || strings.HasPrefix(name, ".") || strings.ContainsFunc(name, func(r rune) bool {
			return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			return fmt.Errorf("%q is not the name of a cluster or of a zone", name)
		}
	}
	return nil
}

// putBase keeps the request's body, when it has come to its end.
func (h *Host) putBase(w http.ResponseWriter, r *http.Request, path string) (err error) {
	if err := h.config.Layout.CreateCluster(r.PathValue("zone"), r.PathValue("cluster")); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		_ = tmp.Close()
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	control := http.NewResponseController(w)
	if _, err := io.Copy(tmp, &impatient{r.Body, control}); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	_ = control.SetReadDeadline(time.Time{})
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return layout.SyncDir(filepath.Dir(path))
}

// forgetHalfBases deletes what an end of the process left of base copies that
// were coming in.
func (h *Host) forgetHalfBases() error {
	halves, err := filepath.Glob(h.config.Layout.Base("*", "*") + ".*")
	for _, half := range halves {
		err = errors.Join(err, os.Remove(half))
	}
	return err
}

// impatient is a body that must not stand still.
type impatient struct {
	io.Reader
	control *http.ResponseController
}

func (p *impatient) Read(b []byte) (int, error) {
	if err := p.control.SetReadDeadline(time.Now().Add(baseStall)); err != nil {
		return 0, err
	}
	return p.Reader.Read(b)
}

func (h *Host) getBase(w http.ResponseWriter, r *http.Request, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Length", fmt.Sprint(info.Size()))
	if r.Method == http.MethodHead {
		return nil
	}
	control := http.NewResponseController(w)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	for left := info.Size(); left > 0; {
		if err := control.SetWriteDeadline(time.Now().Add(baseStall)); err != nil {
			return nil // the client sees that it ends early
		}
		n, err := io.CopyN(w, f, min(left, 8<<20))
		if left -= n; err != nil {
			return nil
		}
	}
	return nil
}

func (h *Host) dropBase(_ http.ResponseWriter, _ *http.Request, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
