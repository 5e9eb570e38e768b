package decide_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

func TestWriterThatRestartsForItsUserStaysTheWriterHoweverOldItsTermIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 3)
		w := s.writerNow()
		w.Spec.RestartGeneration++
		w.Generation++
		w.Server.Phase, w.Server.Restarting = aurora.PhaseStopping, true
		s.now = s.now.Add(time.Hour)
		if actions := s.decide(t); s.w.Cluster.Status.Term != 1 || s.w.Cluster.Status.Writer != w.ResourceID {
			t.Fatalf("while it stops: %v", actions)
		}
		id := w.ResourceID
		w = s.writerNow()
		w.Server.Phase, w.Server.EndedTerm = aurora.PhaseStopped, 1
		if actions := s.decide(t); s.w.Cluster.Status.Term != 2 || s.w.Cluster.Status.Writer != id {
			t.Fatalf("when it has stopped: %v", actions)
		}
	})
}
