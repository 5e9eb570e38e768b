package main

import (
	"strings"
	"testing"
)

func TestWhatCopiesSurviveIsSaidAsTheyArePlaced(t *testing.T) {
	zones := []string{"a", "a", "b", "b", "c", "c"}
	for _, c := range []struct {
		name          string
		zones, hosts  []string
		disks         int
		says, saysNot string
	}{
		{"one disk", zones, []string{"1", "1", "1", "1", "1", "1"}, 1, "whose loss loses everything", "the loss of any host"},
		{"three disks of one host", zones, []string{"1", "1", "1", "1", "1", "1"}, 3, "the loss of any one loses nothing", "the loss of any host"},
		{"a host for each zone", zones, []string{"1", "1", "2", "2", "3", "3"}, 3, "the loss of any host loses nothing and stops nothing", "disk of this machine"},
		{"half of the copies on one host", zones, []string{"1", "1", "1", "2", "2", "2"}, 2, "can stop commits until it is back", "stops nothing"},
		{"too many copies on one host", zones, []string{"1", "1", "1", "1", "2", "2"}, 2, "can lose commits", "loses nothing"},
		{"three copies on three hosts", []string{"a", "b", "c"}, []string{"1", "2", "3"}, 3, "2 of 3 copies of the log, in 3 zones, before", "disk of this machine"},
		{"one copy", []string{"a"}, []string{"1"}, 1, "one copy of the log", "any host"},
	} {
		if text := survives(c.zones, c.hosts, c.disks); !strings.Contains(text, c.says) || strings.Contains(text, c.saysNot) {
			t.Errorf("%s: %q", c.name, text)
		}
	}
}
