package node

import (
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
)

// A reader leaves the reader endpoint at half a minute and comes back at five
// seconds; it is stuck when it replays nothing of what it has.
func TestHealthOfAReader(t *testing.T) {
	const mib = 1 << 20
	began := time.Unix(1e9, 0)
	r := readerWatch{}
	for _, c := range []struct {
		name              string
		after             time.Duration
		durable, replayed postgres.LSN // MiB
		lag               time.Duration
		want              health
	}{
		{"it has replayed all", 0, 100, 100, 0, health{}},
		{"it begins to lag", time.Second, 120, 100, time.Second, health{}},
		{"it replays nothing", 3 * time.Second, 140, 100, 3 * time.Second, health{stuck: true}},
		{"it replays a little", 4 * time.Second, 300, 110, 4 * time.Second, health{debt: 128 * mib}},
		{"it replays more", 29 * time.Second, 600, 300, 29 * time.Second, health{debt: 256 * mib}},
		{"it lags too much", 31 * time.Second, 900, 310, 31 * time.Second, health{debt: 512 * mib, lagging: true}},
		{"it lags less", 40 * time.Second, 910, 800, 6 * time.Second, health{debt: 64 * mib, lagging: true}},
		{"it lags hardly", 41 * time.Second, 920, 900, time.Second, health{}},
		{"nothing comes for a while", 90 * time.Second, 920, 920, 0, health{}},
		{"and then something", 91 * time.Second, 921, 920, 0, health{}},
	} {
		seen := postgres.Sight{At: began.Add(c.after), DurableLSN: c.durable * mib, ReplayLSN: c.replayed * mib, Lag: c.lag}
		if got := r.health(seen); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
