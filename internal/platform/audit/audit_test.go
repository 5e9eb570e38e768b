package audit_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/platform/audit"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

func TestLogThatWasChangedIsNoticed(t *testing.T) {
	keys, err := keyring.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	c := audit.Config{Store: statetest.Start(t), Keyring: keys, Path: filepath.Join(t.TempDir(), "audit", "log.jsonl"), Logger: slog.New(slog.DiscardHandler)}
	log := audit.New(c)
	for _, operation := range []string{"one", "two", "three"} {
		if err := log.Append(t.Context(), audit.Event{Operation: operation}, operation != "two"); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	cases := []struct {
		name, want string
		data       []byte
	}{
		{"as it was", "", good},
		{"a word changed", "at event 2", bytes.Replace(good, []byte(`"two"`), []byte(`"TWO"`), 1)},
		{"an event taken out", "at event 2", append(bytes.Clone(lines[0]), lines[2]...)},
		{"the order changed", "at event 1", append(append(bytes.Clone(lines[1]), lines[0]...), lines[2]...)},
		{"the end cut off", "cut off", append(bytes.Clone(lines[0]), lines[1]...)},
		{"all gone", "cut off", nil},
		{"no JSON", "after event 3", append(bytes.Clone(good), "x\n"...)},
	}
	for _, tc := range cases {
		if err := os.WriteFile(c.Path, tc.data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := log.Verify(t.Context())
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestLogGoesOnAfterARestartAndALineThatBrokeOff(t *testing.T) {
	keys, err := keyring.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	c := audit.Config{Store: statetest.Start(t), Keyring: keys, Path: filepath.Join(t.TempDir(), "log.jsonl")}
	if err := audit.New(c).Append(t.Context(), audit.Event{Operation: "one"}, true); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(c.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"seq":2,"oper`); err != nil {
		t.Fatal(err)
	}
	file.Close()
	again := audit.New(c)
	if err := again.Append(t.Context(), audit.Event{Operation: "two"}, true); err != nil {
		t.Fatal(err)
	}
	if n, err := again.Verify(t.Context()); n != 2 || err != nil {
		t.Errorf("%d events, %v", n, err)
	}
	events, err := again.Events(t.Context(), 10, func(audit.Event) bool { return true })
	if err != nil || len(events) != 2 || events[0].Operation != "two" {
		t.Errorf("%+v, %v", events, err)
	}
}
