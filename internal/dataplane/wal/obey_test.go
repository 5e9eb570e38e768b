package wal

import (
	"errors"
	"testing"
)

// TestLateOrdersDoNotDestroyACopy: orders to make a copy anew are for the copy as it
// was known to be.
func TestLateOrdersDoNotDestroyACopy(t *testing.T) {
	b := Ballot{1, 1}
	order := func(c *Copy, op string, shape uint64, s State) error {
		q := &copyRequest{Op: op, Cluster: "cluster", Copies: []copyName{{Zone: "z", Shape: shape}}, Ballot: b, State: &s}
		_, _, err := obey(c, q, nil)
		return err
	}
	c := testCopy(t)
	if err := (diskGroup{c}).Append(b, 0, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	healthy := c.tell(0)
	for _, op := range []string{opRebuild, opFormat} {
		if err := order(c, op, healthy.Shape, *healthy.State); !errors.Is(err, errChanged) {
			t.Errorf("%s of a copy that works: %v", op, err)
		}
	}
	if s, err := c.State(); err != nil || s.End != 100 {
		t.Fatalf("%+v, %v", s, err)
	}

	c.forget()
	first := c.tell(0)
	if err := order(c, opRebuild, healthy.Shape, *healthy.State); !errors.Is(err, errChanged) {
		t.Errorf("an order from before the loss: %v", err)
	}
	if err := order(c, opRebuild, first.Shape, *healthy.State); err != nil {
		t.Fatal(err)
	}
	rebuilding := c.tell(0)
	empty := *healthy.State
	empty.End = 0
	c.forget()
	second := c.tell(0)
	for name, err := range map[string]error{
		"rebuild as what it was": order(c, opRebuild, first.Shape, *healthy.State),
		"rebuilt":                order(c, opRebuilt, rebuilding.Shape, empty),
		"format":                 order(c, opFormat, first.Shape, State{}),
	} {
		if err == nil {
			t.Errorf("%s was done after another loss", name)
		}
	}
	if err := order(c, opRebuild, second.Shape, *healthy.State); err != nil {
		t.Fatal(err)
	}
	if err := order(c, opRebuilt, rebuilding.Shape, empty); !errors.Is(err, errChanged) {
		t.Errorf("an order of the rebuilding before: %v", err)
	}
	if err := order(c, opRebuilt, c.tell(0).Shape, empty); err != nil {
		t.Fatal(err)
	}
	if s, err := c.State(); err != nil || s.End != 0 || !s.open(b) {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestAppendGoesOnWhereRepairHasBroughtACopy: batches of two groups end at different
// places.
func TestAppendGoesOnWhereRepairHasBroughtACopy(t *testing.T) {
	b := Ballot{1, 1}
	for name, already := range map[string]LSN{"nothing": 0, "a part": 40, "all": 100, "more": 130} {
		t.Run(name, func(t *testing.T) {
			c := testCopy(t)
			written := make([]byte, 130)
			for i := range written {
				written[i] = byte(i)
			}
			terms := []TermBegin{{b, 0}}
			if err := c.Fill(b, terms, 0, written[:already]); err != nil {
				t.Fatal(err)
			}
			if err := (diskGroup{c}).Append(b, 0, written[:100]); err != nil {
				t.Fatal(err)
			}
			end := max(already, 100)
			p := make([]byte, end)
			if s, err := c.ReadAt(p, 0); err != nil || s.End != end || string(p) != string(written[:end]) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}
