package cli

import (
	"fmt"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// progress shows steps as they pass: one line each, and on a terminal the
// running one with its time.
type progress struct {
	view  *view
	shown map[string]bool
	open  bool // an unfinished line is on the terminal
}

func newProgress(v *view) *progress { return &progress{view: v, shown: map[string]bool{}} }

func (p *progress) show(steps []rest.Step) {
	for _, s := range steps {
		if p.shown[s.Name] {
			continue
		}
		took := round(time.Duration(s.Seconds * float64(time.Second)))
		if s.Status == rest.StepRunning {
			if p.view.live {
				fmt.Fprintf(p.view.log, "\r\x1b[K  … %s %s %s", s.Name, took, s.Detail)
				p.open = true
			}
			return
		}
		p.end()
		mark := "✓"
		if s.Status == rest.StepFailed {
			mark = "✗"
		}
		p.view.Note("  %s %s %s %s", mark, s.Name, took, s.Detail)
		p.shown[s.Name] = true
	}
}

// end removes an unfinished line.
func (p *progress) end() {
	if p.open {
		fmt.Fprint(p.view.log, "\r\x1b[K")
		p.open = false
	}
}
