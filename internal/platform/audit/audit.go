// Package audit keeps a log of every call of the platform's API in a file that
// cannot be rewritten without being noticed: each line carries a keyed hash over
// itself and the line before, and the state store knows the last one. It must not
// know what the calls mean.
package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Event is one call.
type Event struct {
	Seq        int64     `json:"seq"`
	Time       time.Time `json:"time"`
	Operation  string    `json:"operation"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Status     int       `json:"status"`
	Error      string    `json:"error,omitempty"`
	UserID     string    `json:"userId,omitempty"`
	UserName   string    `json:"userName,omitempty"`
	OrgID      string    `json:"orgId,omitempty"`
	OrgName    string    `json:"orgName,omitempty"`
	Role       string    `json:"role,omitempty"`
	AuthMethod string    `json:"authMethod,omitempty"`
	IPAddress  string    `json:"ipAddress,omitempty"`
	UserAgent  string    `json:"userAgent,omitempty"`
	ServiceID  string    `json:"serviceId,omitempty"`
	InstanceID string    `json:"instanceId,omitempty"`
	// Owner is the organisation whose instance it was about.
	Owner string `json:"owner,omitempty"`
	Prev  string `json:"prev"`
	Hash  string `json:"hash"`
}

// head is the last event that the state store knows of.
type head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// Config of the log.
type Config struct {
	Store   *state.Store
	Keyring *keyring.Keyring
	Path    string
	Logger  *slog.Logger
}

// Log is the file.
type Log struct {
	Config
	heads state.Table[head]
	keys  state.Table[[]byte]

	mu   sync.Mutex
	file *os.File // nil until the first event
	key  []byte
	last head
}

// New returns the log, which is opened when it is first used.
func New(c Config) *Log {
	return &Log{Config: c, heads: state.NewTable[head](c.Store, "platform/audit"), keys: state.NewTable[[]byte](c.Store, "platform/keys")}
}

const keyName = "audit"

// ready opens the file and reads its end.
func (l *Log) ready(ctx context.Context) error {
	if l.file != nil {
		return nil
	}
	key, err := l.secret(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(l.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if l.last, err = lastOf(file); err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.key = file, key
	return nil
}

// secret is the key of the hashes: stored once, sealed.
func (l *Log) secret(ctx context.Context) ([]byte, error) {
	item, err := l.keys.Get(ctx, keyName)
	if errors.Is(err, state.ErrNotFound) {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		if _, err = l.keys.Create(ctx, keyName, l.Keyring.Seal(key, keyName)); err != nil && !errors.Is(err, state.ErrExists) {
			return nil, err
		}
		item, err = l.keys.Get(ctx, keyName)
	}
	if err != nil {
		return nil, err
	}
	return l.Keyring.Open(item.Value, keyName)
}

// lastOf finds the last whole line; what a crash left behind it is cut off.
func lastOf(file *os.File) (head, error) {
	var last head
	whole := int64(0)
	in := bufio.NewReader(file)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return last, file.Truncate(whole)
		}
		if err != nil {
			return last, err
		}
		whole += int64(len(line))
		if err := json.Unmarshal(line, &last); err != nil {
			return last, fmt.Errorf("the audit log is damaged: %w", err)
		}
	}
}

func (l *Log) hash(e Event) string {
	e.Hash = ""
	data, _ := json.Marshal(e) // has no value that cannot be
	mac := hmac.New(sha256.New, l.key)
	mac.Write(data)
	return hex.EncodeToString(mac.Sum(nil))
}

// Append adds an event. One that changed something is on disk, and known to the
// state store, when Append returns.
func (l *Log) Append(ctx context.Context, e Event, changes bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.ready(ctx); err != nil {
		return err
	}
	e.Seq, e.Prev = l.last.Seq+1, l.last.Hash
	e.Hash = l.hash(e)
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return err
	}
	l.last = head{e.Seq, e.Hash}
	if !changes {
		return nil
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	if _, err := l.heads.Create(ctx, "head", l.last); !errors.Is(err, state.ErrExists) {
		return err
	}
	_, err = l.heads.Update(ctx, "head", func(h *head) error { *h = l.last; return nil })
	return err
}

// Export writes the lines as they are.
func (l *Log) Export(ctx context.Context, w io.Writer) error {
	data, err := l.read(ctx)
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

func (l *Log) read(ctx context.Context) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.ready(ctx); err != nil {
		return nil, err
	}
	return os.ReadFile(l.Path)
}

// Events are those that match, newest first, at most limit.
func (l *Log) Events(ctx context.Context, limit int, match func(Event) bool) ([]Event, error) {
	data, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	var events []Event
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	for i := len(lines) - 1; i >= 0 && len(events) < limit; i-- {
		var e Event
		if json.Unmarshal(lines[i], &e) == nil && e.Seq > 0 && match(e) {
			events = append(events, e)
		}
	}
	return events, nil
}

// Verify follows the chain and compares its end with what the state store knows. It
// returns how many events there are, or where they were changed.
func (l *Log) Verify(ctx context.Context) (int64, error) {
	data, err := l.read(ctx)
	if err != nil {
		return 0, err
	}
	known, err := l.heads.Get(ctx, "head")
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return 0, err
	}
	last, seen := head{}, known.Value.Seq == 0
	for line := range bytes.Lines(data) {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return last.Seq, fmt.Errorf("the audit log was changed after event %d: %w", last.Seq, err)
		}
		if e.Seq != last.Seq+1 || e.Prev != last.Hash || !hmac.Equal([]byte(l.hash(e)), []byte(e.Hash)) {
			return last.Seq, fmt.Errorf("the audit log was changed at event %d", last.Seq+1)
		}
		last = head{e.Seq, e.Hash}
		seen = seen || last == known.Value
	}
	if !seen {
		return last.Seq, fmt.Errorf("the audit log was cut off: it ends at event %d, and event %d was written", last.Seq, known.Value.Seq)
	}
	return last.Seq, nil
}
