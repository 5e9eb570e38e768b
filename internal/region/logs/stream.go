package logs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateLogStream makes a stream.
func (a *API) CreateLogStream(ctx context.Context, in *api.CreateLogStreamInput) (*api.CreateLogStreamOutput, error) {
	item, err := a.group(ctx, in.LogGroupName)
	if err != nil {
		return nil, err
	}
	name := aws.ToString(in.LogStreamName)
	if name == "" || len(name) > 512 || strings.ContainsAny(name, ":*") {
		return nil, invalid("1 validation error detected: Value '%.60s' at 'logStreamName' failed to satisfy constraint: "+
			"Member must have 1 to 512 characters, without : and *", name)
	}
	_, err = a.createStream(ctx, item, name)
	if errors.Is(err, state.ErrExists) {
		if _, err := a.stream(ctx, item.Value, &name); err == nil {
			return nil, awswire.BadRequestf("ResourceAlreadyExistsException", "The specified log stream already exists")
		}
		return a.CreateLogStream(ctx, in) // the group changed
	}
	return nil, err
}

func (a *API) createStream(ctx context.Context, g state.Item[Group], name string) (Stream, error) {
	s := Stream{Name: name, ID: newID(), Created: a.now().UTC().Truncate(time.Millisecond)}
	_, err := a.streams.Create(ctx, g.Value.streamKey(name), s, a.groups.CheckOp(g.Key, g.Revision))
	return s, err
}

// DeleteLogStream removes a stream with its events.
func (a *API) DeleteLogStream(ctx context.Context, in *api.DeleteLogStreamInput) (*api.DeleteLogStreamOutput, error) {
	g, err := a.group(ctx, in.LogGroupName)
	if err != nil {
		return nil, err
	}
	s, err := a.stream(ctx, g.Value, in.LogStreamName)
	if err != nil {
		return nil, err
	}
	if err := a.streams.Delete(ctx, s.Key); err != nil {
		return nil, err
	}
	return nil, a.events.remove(g.Value.directory(s.Value))
}

// knownStream is a stream with what its events say.
type knownStream struct {
	Stream
	first, last Event // zero if there are none
	size        int64
}

// know reads the first and the last event of a stream.
func (a *API) know(g Group, s Stream) (knownStream, error) {
	k := knownStream{Stream: s}
	all, err := a.events.segments(g.directory(s))
	if err != nil || len(all) == 0 {
		return k, err
	}
	for i, from := range []int64{0, all[len(all)-1].from} {
		c, err := a.events.from(g.directory(s), from)
		if err != nil {
			return k, err
		}
		for {
			event, ok, err := c.next()
			if err != nil {
				return k, err
			}
			if !ok {
				break
			}
			if k.last = event; i == 0 {
				k.first = event
				break
			}
		}
	}
	for _, s := range all {
		k.size += s.size
	}
	return k, nil
}

// DescribeLogStreams answers the streams of a group, by name or by last event.
func (a *API) DescribeLogStreams(ctx context.Context, in *api.DescribeLogStreamsInput) (*api.DescribeLogStreamsOutput, error) {
	g, err := a.group(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	byTime := in.OrderBy == types.OrderByLastEventTime
	if in.OrderBy != "" && !slices.Contains(in.OrderBy.Values(), in.OrderBy) {
		return nil, invalid("1 validation error detected: Value '%.60s' at 'orderBy' failed to satisfy constraint: Member must satisfy enum value set: [LogStreamName, LastEventTime]", in.OrderBy)
	}
	if byTime && in.LogStreamNamePrefix != nil {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	items, _, err := a.streams.List(ctx, g.Value.ID+"/")
	if err != nil {
		return nil, err
	}
	var streams []knownStream
	for _, item := range items {
		if !strings.HasPrefix(item.Value.Name, aws.ToString(in.LogStreamNamePrefix)) {
			continue
		}
		s, err := a.know(g.Value, item.Value)
		if err != nil {
			return nil, err
		}
		streams = append(streams, s)
	}
	// The keys of pages sort as text, and downwards when their bytes are turned.
	page, next, err := awswire.Page(streams, in.NextToken, in.Limit, pages(50), func(s knownStream) string {
		key := s.Name
		if byTime {
			key = fmt.Sprintf("%020d/%s", s.last.Time, s.Name)
		}
		if aws.ToBool(in.Descending) {
			return inverted(key)
		}
		return key
	})
	out := &api.DescribeLogStreamsOutput{NextToken: next, LogStreams: []types.LogStream{}}
	for _, s := range page {
		out.LogStreams = append(out.LogStreams, s.wire(g.Value))
	}
	return out, err
}

// inverted sorts the other way round; a longer text comes before its beginning.
func inverted(text string) string {
	b := append([]byte(text), 0)
	for i := range b {
		b[i] = ^b[i]
	}
	return string(b)
}

func (s knownStream) wire(g Group) types.LogStream {
	wire := types.LogStream{
		LogStreamName: &s.Name, Arn: aws.String(g.arn() + ":log-stream:" + s.Name), CreationTime: aws.Int64(s.Created.UnixMilli()),
		UploadSequenceToken: aws.String(forwardToken(s.size)), // which says nothing since 2023
	}
	if s.size > 0 {
		wire.FirstEventTimestamp, wire.LastEventTimestamp, wire.LastIngestionTime = &s.first.Time, &s.last.Time, &s.last.Ingested
	}
	return wire
}
