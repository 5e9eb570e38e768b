package main

import (
	"slices"
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

func TestDoctorSaysWhichInstancesAreNotWell(t *testing.T) {
	instance := func(name, reason string, deleting bool) state.Item[aurora.DBInstance] {
		in := aurora.DBInstance{Meta: aurora.Meta{DeleteRequested: deleting}}
		in.Spec.Identifier, in.Status.Reason = name, reason
		return state.Item[aurora.DBInstance]{Value: in}
	}
	got := troubles([]state.Item[aurora.DBInstance]{
		instance("well", "", false), instance("damaged", "pages of postgres fail their checksums", false), instance("going", "the writer goes", true),
	})
	if want := []string{"damaged: pages of postgres fail their checksums"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := troubles(nil); len(got) > 0 {
		t.Error(got)
	}
}
