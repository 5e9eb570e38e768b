package controller

import (
	"slices"
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/decide"
)

func TestAChangeOfAnInstanceIsToldOnce(t *testing.T) {
	const gone = "gone"
	for _, c := range []struct {
		name, before, after string
		want                []string
	}{
		{"it is made", "creating", "available", []string{"RDS-EVENT-0005"}},
		{"it is made with a change under way", "creating", "modifying", []string{"RDS-EVENT-0005"}},
		{"it is made in the end", "failed", "available", []string{"RDS-EVENT-0005"}},
		{"it cannot be made", "creating", "failed", nil},
		{"it goes before it was made", "creating", "deleting", nil},
		{"it restarts", "available", "rebooting", nil},
		{"it has restarted", "rebooting", "available", []string{"RDS-EVENT-0006"}},
		{"it has restarted with a change under way", "rebooting", "modifying", []string{"RDS-EVENT-0006"}},
		{"it goes while it restarts", "rebooting", "deleting", nil},
		{"it is changed", "modifying", "available", nil},
		{"it is gone", "deleting", gone, []string{"RDS-EVENT-0003"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			world := func(status string) (w decide.World) {
				in := aurora.DBInstance{Meta: aurora.Meta{ResourceID: "db-1"}}
				in.Status.Status = status
				if status != gone {
					w.Instances = []aurora.DBInstance{in}
				}
				return w
			}
			if got := ids(events(world(c.before), world(c.after), nil)); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsAnnouncedIsToldBesideWhatChanged(t *testing.T) {
	var before, after decide.World
	after.Cluster.Status.Status = aurora.ClusterStatusAvailable
	announced := decide.Announce{Event: aurora.FailoverCompleted(&after.Cluster, "r")}
	got := ids(events(before, after, []decide.Action{decide.SetFailedOver{}, announced}))
	if want := []string{"RDS-EVENT-0071", "RDS-EVENT-0170"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func ids(events []aurora.Event) []string {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.EventID)
	}
	return ids
}
