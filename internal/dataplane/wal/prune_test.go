package wal

import (
	"os"
	"testing"
)

// TestCopiesThatWereMovedAwayAreDeleted: but not one that a log has been given since
// it was asked which there are.
func TestCopiesThatWereMovedAwayAreDeleted(t *testing.T) {
	const id = "cluster-TEST"
	l := newLayout(t, "xa")
	h, err := OpenHost(t.Context(), HostConfig{Layout: l, HostID: "aaaaaaaa"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}()
	copies := make([]*Copy, 3)
	for n := range copies {
		h.mu.Lock()
		c, err := h.copy(id, "xa", n)
		h.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if n < 2 {
			err = c.format(State{})
		}
		if copies[n] = c; err != nil {
			t.Fatal(err)
		}
	}
	held := h.held(id)
	if len(held) != 2 {
		t.Fatalf("%+v, want the two that are not blank", held)
	}
	if _, err := copies[1].Promise(Ballot{1, 1}); err != nil {
		t.Fatal(err)
	}
	if err := h.prune(id, held); err != nil {
		t.Fatal(err)
	}
	if left := h.held(id); len(left) != 1 || left[0].Number != 1 {
		t.Errorf("%+v are left, want copy 1, which has promised something since", left)
	}
	if _, err := os.Stat(copies[0].dir); !os.IsNotExist(err) {
		t.Errorf("the directory of copy 0: %v", err)
	}
	// It can be made again, in another zone too.
	h.mu.Lock()
	again, err := h.copy(id, "xb", 0)
	h.mu.Unlock()
	if err == nil {
		err = again.format(State{})
	}
	if err != nil {
		t.Error(err)
	}
}
