package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// maxLogRead is how much of a log one request reads at most.
const maxLogRead = 1 << 20

// serveLogs answers what is in the logs of this host's servers, until ctx ends.
func (n *node) serveLogs(ctx context.Context) {
	path := n.config.Layout.NodeSocket()
	_ = os.Remove(path) // of a node that was killed
	listener, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		slog.Error("node: nobody can read the servers' logs", "error", err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /logs/{instance}", n.listLogs)
	mux.HandleFunc("GET /logs/{instance}/{name}", n.readLog)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		slog.Error("node: nobody can read the servers' logs", "error", err)
	}
}

// serverOf names the server of an instance that runs here.
func (n *node) serverOf(r *http.Request) (postgres.Server, error) {
	id := r.PathValue("instance")
	item, ok := n.instances.Get(id)
	if o, has := n.order(id); ok && has && item.Value.Status.Host == n.config.HostID {
		return n.server(o)
	}
	return postgres.Server{}, fs.ErrNotExist
}

func refuseLog(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if errors.Is(err, fs.ErrNotExist) {
		status = http.StatusNotFound
	}
	http.Error(w, err.Error(), status)
}

func (n *node) listLogs(w http.ResponseWriter, r *http.Request) {
	s, err := n.serverOf(r)
	if err != nil {
		refuseLog(w, err)
		return
	}
	files, err := s.LogFiles()
	if err != nil {
		refuseLog(w, err)
		return
	}
	out := []aurora.LogFile{}
	for _, f := range files {
		out = append(out, aurora.LogFile(f))
	}
	_ = json.NewEncoder(w).Encode(out) // who went away needs no answer
}

func (n *node) readLog(w http.ResponseWriter, r *http.Request) {
	offset, err := strconv.ParseInt(r.FormValue("offset"), 10, 64)
	limit, limitErr := strconv.Atoi(r.FormValue("limit"))
	if err != nil || limitErr != nil || offset < 0 || limit < 0 || limit > maxLogRead {
		http.Error(w, "bad offset or limit", http.StatusBadRequest)
		return
	}
	s, err := n.serverOf(r)
	if err != nil {
		refuseLog(w, err)
		return
	}
	data, err := s.ReadLog(r.PathValue("name"), offset, limit)
	if err != nil {
		refuseLog(w, err)
		return
	}
	_, _ = w.Write(data)
}

// Logs reads the logs of servers on any host.
type Logs struct {
	// Layout says where the node of a host answers.
	Layout func(host string) layout.Layout
}

// Files are the files of an instance's log, the oldest first; fs.ErrNotExist when
// the host does not have the instance.
func (l Logs) Files(ctx context.Context, host, instance string) ([]aurora.LogFile, error) {
	data, err := l.get(ctx, host, "/logs/"+url.PathEscape(instance))
	if err != nil {
		return nil, err
	}
	var files []aurora.LogFile
	if err := json.Unmarshal(data, &files); err != nil {
		return nil, fmt.Errorf("log files of %s: %w", instance, err)
	}
	return files, nil
}

// Read reads up to limit bytes of a file; fs.ErrNotExist when there is none.
func (l Logs) Read(ctx context.Context, host, instance, name string, offset int64, limit int) ([]byte, error) {
	return l.get(ctx, host, fmt.Sprintf("/logs/%s/%s?offset=%d&limit=%d", url.PathEscape(instance), url.PathEscape(name), offset, limit))
}

func (l Logs) get(ctx context.Context, host, path string) ([]byte, error) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	socket := l.Layout(host).NodeSocket()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the node of host %s does not answer: %w", host, err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode == http.StatusNotFound:
		return nil, fs.ErrNotExist
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the node of host %s: %s: %s", host, answer.Status, data)
	}
	return data, nil
}
