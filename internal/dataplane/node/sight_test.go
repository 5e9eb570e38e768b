package node

import (
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
)

// A reader leaves the reader endpoint at half a minute and comes back at five
// seconds; it is stuck when it replays nothing of what it has.
func TestWhatAReaderOwes(t *testing.T) {
	const mib = 1 << 20
	began := time.Unix(1e9, 0)
	r := readerWatch{}
	for _, c := range []struct {
		name              string
		after             time.Duration
		durable, replayed postgres.LSN // MiB
		lag               time.Duration
		want              debt
	}{
		{"it has replayed all", 0, 100, 100, 0, debt{}},
		{"it begins to lag", time.Second, 120, 100, time.Second, debt{}},
		{"it replays nothing", 3 * time.Second, 140, 100, 3 * time.Second, debt{stuck: true}},
		{"it replays a little", 4 * time.Second, 300, 110, 4 * time.Second, debt{bytes: 128 * mib}},
		{"it replays more", 29 * time.Second, 600, 300, 29 * time.Second, debt{bytes: 256 * mib}},
		{"it lags too much", 31 * time.Second, 900, 310, 31 * time.Second, debt{bytes: 512 * mib, lagging: true}},
		{"it lags less", 40 * time.Second, 910, 800, 6 * time.Second, debt{bytes: 64 * mib, lagging: true}},
		{"it lags hardly", 41 * time.Second, 920, 900, time.Second, debt{}},
		{"nothing comes for a while", 90 * time.Second, 920, 920, 0, debt{}},
		{"and then something", 91 * time.Second, 921, 920, 0, debt{}},
	} {
		seen := postgres.Sight{At: began.Add(c.after), DurableLSN: c.durable * mib, ReplayLSN: c.replayed * mib, Lag: c.lag}
		if got := r.owes(seen); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
