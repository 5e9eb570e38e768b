package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

func count(t *testing.T, e *events, stream string) int {
	t.Helper()
	found, _, err := e.forwards(stream, 0, 1<<20, 1<<30, func(Event) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func fill(t *testing.T, e *events, stream string, n int) {
	t.Helper()
	for i := range n {
		if err := e.append(stream, []Event{{Time: int64(i), Message: fmt.Sprint("event ", i)}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAStreamIsBoundedByDroppingTheOldest(t *testing.T) {
	e := newEvents(t.TempDir())
	e.segment, e.stream = 200, 1000
	fill(t, e, "g/s", 500)
	if size := e.size("g/s"); size > 1000+200 {
		t.Errorf("%d bytes are kept", size)
	}
	found, err := e.backwards("g/s", 1<<40, 1, 1<<20, func(Event) bool { return true })
	if err != nil || len(found) != 1 || found[0].Message != "event 499" {
		t.Errorf("the newest: %+v, %v", found, err)
	}
}

func TestWhatACrashLeftOfAnEventIsCutOff(t *testing.T) {
	e := newEvents(t.TempDir())
	fill(t, e, "g/s", 3)
	path := e.segmentPath("g/s", 0)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	if n := count(t, e, "g/s"); n != 2 {
		t.Errorf("%d events before the next one", n)
	}
	fill(t, e, "g/s", 1)
	if n := count(t, e, "g/s"); n != 3 {
		t.Errorf("%d events after it", n)
	}
}

func TestTidyRemovesWhatNobodyAsksForAnyMore(t *testing.T) {
	a := New(statetest.Start(t), t.TempDir())
	ctx := wiretest.Context(t.Context())
	g := Group{Account: wiretest.Account, Region: wiretest.Region, Name: "g", ID: newID(), Retention: 1}
	if _, err := a.groups.Create(ctx, g.key(), g); err != nil {
		t.Fatal(err)
	}
	item, err := a.groups.Get(ctx, g.key())
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.createStream(ctx, item, "s")
	if err != nil {
		t.Fatal(err)
	}
	fill(t, a.events, g.directory(s), 1)
	fill(t, a.events, "gone/gone", 1)
	if err := a.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	if n := count(t, a.events, g.directory(s)); n != 1 {
		t.Errorf("%d events of the group", n)
	}
	if _, err := os.Stat(filepath.Join(a.events.dir, "gone", "gone")); !os.IsNotExist(err) {
		t.Errorf("the stream of a deleted group: %v", err)
	}
	a.now = func() time.Time { return time.Now().Add(48 * time.Hour) }
	if err := a.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	if n := count(t, a.events, g.directory(s)); n != 0 {
		t.Errorf("%d events after the retention", n)
	}
}
