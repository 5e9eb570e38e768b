package logs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// API holds the actions.
type API struct {
	store   *state.Store
	groups  state.Table[Group]
	streams state.Table[Stream] // by Group.streamKey
	events  *events
	now     func() time.Time
}

// New returns CloudWatch Logs, with its events in a directory.
func New(store *state.Store, dir string) *API {
	return &API{
		store: store, events: newEvents(dir), now: time.Now,
		groups:  state.NewTable[Group](store, "region/log-groups"),
		streams: state.NewTable[Stream](store, "region/log-streams"),
	}
}

// Service returns the actions.
func (a *API) Service() *awswire.Service {
	s := awswire.CloudWatchLogs()
	awswire.Register(s, a.CreateLogGroup)
	awswire.Register(s, a.DeleteLogGroup)
	awswire.Register(s, a.DescribeLogGroups)
	awswire.Register(s, a.PutRetentionPolicy)
	awswire.Register(s, a.DeleteRetentionPolicy)
	awswire.Register(s, a.AssociateKmsKey)
	awswire.Register(s, a.DisassociateKmsKey)
	awswire.Register(s, a.PutLogGroupDeletionProtection)
	awswire.Register(s, a.CreateLogStream)
	awswire.Register(s, a.DeleteLogStream)
	awswire.Register(s, a.DescribeLogStreams)
	awswire.Register(s, a.PutLogEvents)
	awswire.Register(s, a.GetLogEvents)
	awswire.Register(s, a.FilterLogEvents)
	awswire.Register(s, a.TagResource)
	awswire.Register(s, a.UntagResource)
	awswire.Register(s, a.ListTagsForResource)
	awswire.Register(s, a.TagLogGroup)
	awswire.Register(s, a.UntagLogGroup)
	awswire.Register(s, a.ListTagsLogGroup)
	s.Lack("DescribeLogGroups", "AccountIdentifiers", "IncludeLinkedAccounts")
	s.NameResources(resources)
	return s
}

// resources are the ARNs of the groups and streams that a call is about.
func resources(ctx context.Context, in any) []string {
	v, p := reflect.ValueOf(in).Elem(), placeOf(ctx)
	field := func(name string) string {
		f := v.FieldByName(name)
		if !f.IsValid() || f.Kind() != reflect.Pointer || f.IsNil() {
			return ""
		}
		return f.Elem().String()
	}
	for _, name := range []string{"LogGroupName", "LogGroupIdentifier", "ResourceArn", "ResourceIdentifier"} {
		group := p.nameOf(field(name))
		switch stream := field("LogStreamName"); {
		case group == "":
		case stream != "":
			return []string{p.arn(group) + ":log-stream:" + stream}
		default:
			return []string{p.arn(group) + ":*"}
		}
	}
	return nil
}

// nameOf is the group's name in what a caller gave: it, or an ARN.
func (p place) nameOf(given string) string {
	if rest, ok := strings.CutPrefix(given, p.arn("")); ok {
		return strings.TrimSuffix(rest, ":*")
	}
	return given
}

var groupName = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)

func invalid(format string, args ...any) *awswire.Error {
	return awswire.BadRequestf("InvalidParameterException", format, args...)
}

func noGroup() error {
	return awswire.BadRequestf("ResourceNotFoundException", "The specified log group does not exist.")
}

func noStream() error {
	return awswire.BadRequestf("ResourceNotFoundException", "The specified log stream does not exist.")
}

// group reads the caller's group by name or ARN, of which the first that is given
// counts.
func (a *API) group(ctx context.Context, given ...*string) (state.Item[Group], error) {
	p, name := placeOf(ctx), ""
	for _, g := range given {
		if name == "" {
			name = p.nameOf(aws.ToString(g))
		}
	}
	if name == "" {
		return state.Item[Group]{}, invalid("Exactly one of logGroupName and logGroupIdentifier must be given.")
	}
	item, err := a.groups.Get(ctx, p.key(name))
	if errors.Is(err, state.ErrNotFound) {
		return item, noGroup()
	}
	return item, err
}

func (a *API) stream(ctx context.Context, g Group, name *string) (state.Item[Stream], error) {
	item, err := a.streams.Get(ctx, g.streamKey(aws.ToString(name)))
	if errors.Is(err, state.ErrNotFound) {
		return item, noStream()
	}
	return item, err
}

// update changes a group.
func (a *API) update(ctx context.Context, change func(*Group) error, given ...*string) error {
	item, err := a.group(ctx, given...)
	if err != nil {
		return err
	}
	_, err = a.groups.Update(ctx, item.Key, change)
	if errors.Is(err, state.ErrNotFound) {
		return noGroup()
	}
	return err
}

func newID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// pages are the limits of most lists.
func pages(most int) awswire.PageLimits {
	return awswire.PageLimits{Min: 1, Max: most, Default: most, Parameter: "limit", Code: "InvalidParameterException"}
}
