package wal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// maxRead is how much one request reads at most.
const maxRead = 16 << 20

type readRequest struct {
	Cluster Cluster `json:"cluster"`
	At      LSN     `json:"at"`
	Length  int     `json:"length"`
}

// Read returns committed WAL, if the host's log knows that it is: n bytes of it.
func (c *Client) Read(ctx context.Context, of Cluster, at LSN, n int) ([]byte, error) {
	body, err := json.Marshal(readRequest{of, at, n})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://log/read", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach the log: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		if _, err := decodeAnswer(resp.Body); err != nil {
			return nil, fmt.Errorf("read the log at %s: %w", at, err)
		}
		return nil, errors.New(resp.Status)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(resp.Body, data); err != nil {
		return nil, fmt.Errorf("read the log at %s: %w", at, err)
	}
	return data, nil
}

func (h *Host) readCommitted(w http.ResponseWriter, r *http.Request) {
	var q readRequest
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q)
	var data []byte
	if err == nil {
		data, err = h.read(q)
	}
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(answer{Error: err.Error()})
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // the client sees that it ends early
}

func (h *Host) read(q readRequest) ([]byte, error) {
	if q.Length < 0 || q.Length > maxRead {
		return nil, fmt.Errorf("%d bytes are asked for, at most %d are given", q.Length, maxRead)
	}
	s, err := h.serve(q.Cluster)
	if err != nil {
		return nil, err
	}
	gate, _ := s.Gate()
	if end := q.At + LSN(q.Length); end > gate.LSN {
		return nil, fmt.Errorf("%s is not committed yet: the log's end is %s", end, gate.LSN)
	}
	if start := s.Start(); q.At < start {
		return nil, fmt.Errorf("WAL before %s was removed", start)
	}
	data := make([]byte, q.Length)
	return data, s.Read(data, q.At)
}
