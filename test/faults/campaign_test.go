// Package faults injects faults into a loaded installation and holds what its
// clients saw against what a database owes them. See README.md.
package faults

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/faults/disk"
	"github.com/daybreakdb/daybreak/test/harness"
)

func TestMain(m *testing.M) {
	disk.ServeIfAsked()
	becomeSecondIfAsked()
	os.Exit(harness.MainInNetwork(m))
}

var (
	number  = flag.Int("faults", 20, "how many random faults")
	seed    = flag.Uint64("seed", 1, "of the random faults; 0: by the time")
	only    = flag.String("only", "", "only faults whose name has one of these texts (a|b)")
	user    = flag.Uint("user", 0, "who runs the installation, if not who runs the tests")
	raw     = flag.String("raw", "", "file that gets a line for each fault")
	record  = flag.String("record", "", "file with the totals of campaigns; what -commit has there already counts")
	version = flag.String("commit", "", "what is tested, for the record")
)

// perRound is after how many faults everything is checked, and begun anew.
const perRound = 20

// result is what the record has of a fault.
type result struct {
	Time   time.Time     `json:"time"`
	Seed   uint64        `json:"seed"`
	Fault  string        `json:"fault"`
	Gap    time.Duration `json:"gapNs"`  // longest time without an acknowledged commit
	Well   time.Duration `json:"wellNs"` // from the end of the fault until every member serves
	Failed bool          `json:"failed"` // violations show at the round's end
}

// TestRandomFaults lets random faults happen, in random order, at random times.
func TestRandomFaults(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", *seed)
	var choice []fault
	for _, f := range faults {
		if slices.ContainsFunc(strings.Split(*only, "|"), func(text string) bool { return strings.Contains(f.name, text) }) {
			choice = append(choice, f)
		}
	}
	left := *number - totals(t)[*version].Faults
	if left <= 0 {
		return
	}
	c := deploy(t, 2)
	for round := uint64(0); left > 0 && !t.Failed(); round++ {
		n := min(perRound, left)
		t.Run(fmt.Sprintf("round %d of seed %d", round, *seed), func(t *testing.T) {
			c.forTest(t).round(rand.New(rand.NewPCG(*seed, round)), choice, n)
		})
		left -= n
	}
}

func (c *cluster) forTest(t testing.TB) *cluster {
	other := *c
	other.t, other.in = t, c.in.For(t)
	return &other
}

// round lets n faults happen and checks everything in the end.
func (c *cluster) round(r *rand.Rand, choice []fault, n int) {
	c.t.Helper()
	c.healthy(2 * time.Minute)
	o := newOracle(c.t, c.in, c.writer, c.reader)
	var results []result
	for range n {
		f := choice[r.IntN(len(choice))]
		time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond) // not synchronisation: the moment of the fault
		o.takeGap()
		c.t.Log(f.name)
		undo := f.do(c, r)
		if undo != nil {
			time.Sleep(f.lasts)
			undo()
		}
		began := time.Now()
		c.healthy(f.limit)
		res := result{Time: time.Now().UTC(), Seed: *seed, Fault: f.name, Gap: o.takeGap(), Well: time.Since(began)}
		c.t.Logf("%-52s gap %5.2f s, well after %5.2f s", f.name, res.Gap.Seconds(), res.Well.Seconds())
		results = append(results, res)
	}
	c.t.Log(o.verify(c.t))
	for i := range results {
		results[i].Failed = c.t.Failed()
	}
	writeRecord(c.t, results)
}

// total is what the record has of a commit.
type total struct {
	Faults     int       `json:"faults"`
	Violations int       `json:"violations"` // rounds in which something was violated
	Until      time.Time `json:"until"`
	Seeds      []uint64  `json:"seeds"`
}

func totals(t testing.TB) map[string]total {
	all := map[string]total{}
	if *record == "" {
		return all
	}
	content, err := os.ReadFile(*record)
	if err == nil {
		err = json.Unmarshal(content, &all)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

func writeRecord(t testing.TB, results []result) {
	if *raw != "" {
		file, err := os.OpenFile(*raw, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for _, r := range results {
			if err := json.NewEncoder(file).Encode(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if *record == "" {
		return
	}
	all := totals(t)
	sum := all[*version]
	sum.Faults += len(results)
	if t.Failed() {
		sum.Violations++
	}
	sum.Until = time.Now().UTC().Truncate(time.Second)
	if !slices.Contains(sum.Seeds, *seed) {
		sum.Seeds = append(sum.Seeds, *seed)
	}
	all[*version] = sum
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*record, append(content, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
