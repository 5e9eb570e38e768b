package logs

import (
	"context"
	"net/url"
	"time"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// Group is a log group, stored under region/log-groups.
type Group struct {
	Account, Region, Name string
	// ID names the directory of its events. A group that is made again has another.
	ID        string
	Created   time.Time
	Retention int32             `json:",omitempty"` // days; 0 for ever
	KmsKeyID  string            `json:",omitempty"`
	Protected bool              `json:",omitempty"`
	Tags      map[string]string `json:",omitempty"`
}

// Stream is a log stream, stored under region/log-streams.
type Stream struct {
	Name    string
	ID      string
	Created time.Time
}

type place struct{ account, region string }

func placeOf(ctx context.Context) place {
	id := awswire.IdentityFrom(ctx)
	return place{id.Account, id.Region}
}

func (p place) key(group string) string { return p.account + "/" + p.region + "/" + group }

// arn is that of a group without the :* that CloudWatch Logs adds in places.
func (p place) arn(group string) string {
	return "arn:aws:logs:" + p.region + ":" + p.account + ":log-group:" + group
}

func (g Group) place() place { return place{g.Account, g.Region} }
func (g Group) key() string  { return g.place().key(g.Name) }
func (g Group) arn() string  { return g.place().arn(g.Name) }

// streamKey is below the group's id, and not below its name: names have slashes,
// and what belonged to a group before must not be found again.
func (g Group) streamKey(stream string) string { return g.ID + "/" + url.PathEscape(stream) }

// directory is that of a stream's events.
func (g Group) directory(s Stream) string { return g.ID + "/" + s.ID }

// kept says whether the retention still covers an event.
func (g Group) kept(e Event, now time.Time) bool {
	return g.Retention == 0 || e.Time >= now.Add(-g.retention()).UnixMilli()
}

func (g Group) retention() time.Duration { return time.Duration(g.Retention) * 24 * time.Hour }
