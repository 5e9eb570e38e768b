package logs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// FilterLogEvents answers the events of all or some streams of a group, merged by
// time, that match a pattern.
func (a *API) FilterLogEvents(ctx context.Context, in *api.FilterLogEventsInput) (*api.FilterLogEventsOutput, error) {
	g, err := a.group(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	if in.StartFromHead != nil && !*in.StartFromHead {
		return nil, invalid("This region answers the earliest events first: startFromHead can only be true.")
	}
	limit, err := eventLimit(in.Limit)
	if err != nil {
		return nil, err
	}
	p, err := parsePattern(aws.ToString(in.FilterPattern))
	if err != nil {
		return nil, err
	}
	streams, err := a.chosen(ctx, g.Value, in)
	if err != nil {
		return nil, err
	}
	positions := map[string]int64{} // by stream id
	if in.NextToken != nil {
		data, err := base64.RawURLEncoding.DecodeString(*in.NextToken)
		if err != nil || json.Unmarshal(data, &positions) != nil {
			return nil, invalid("The specified nextToken is invalid.")
		}
	}
	now, asked := a.now(), window{in.StartTime, in.EndTime}
	found, more, err := a.merge(g.Value, streams, positions, limit, func(e Event) bool {
		return asked.has(e) && g.Value.kept(e, now) && p.matches(e.Message)
	})
	out := &api.FilterLogEventsOutput{Events: found, SearchedLogStreams: []types.SearchedLogStream{}}
	if more {
		token, _ := json.Marshal(positions) // numbers by text
		out.NextToken = aws.String(base64.RawURLEncoding.EncodeToString(token))
	}
	return out, err
}

// chosen are the streams that the request names.
func (a *API) chosen(ctx context.Context, g Group, in *api.FilterLogEventsInput) ([]Stream, error) {
	if len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != nil {
		return nil, invalid("Only one of logStreamNames and logStreamNamePrefix can be given.")
	}
	items, _, err := a.streams.List(ctx, g.ID+"/")
	var streams []Stream
	for _, item := range items {
		s := item.Value
		if strings.HasPrefix(s.Name, aws.ToString(in.LogStreamNamePrefix)) && (len(in.LogStreamNames) == 0 || slices.Contains(in.LogStreamNames, s.Name)) {
			streams = append(streams, s)
		}
	}
	if len(streams) < len(in.LogStreamNames) {
		return nil, noStream()
	}
	return streams, err
}

// head is the next event of a stream that is wanted.
type head struct {
	stream Stream
	cursor *cursor
	event  placedEvent
}

// advance goes to the next wanted event; false at the end.
func (h *head) advance(wanted func(Event) bool) (bool, error) {
	for {
		begin := h.cursor.at
		event, ok, err := h.cursor.next()
		if err != nil || !ok {
			return false, err
		}
		if wanted(event) {
			h.event = placedEvent{event, begin, h.cursor.at}
			return true, nil
		}
	}
}

// merge takes events from streams in the order of their time, from positions on,
// which it moves. It says whether there is more.
func (a *API) merge(g Group, streams []Stream, positions map[string]int64, limit int, wanted func(Event) bool) ([]types.FilteredLogEvent, bool, error) {
	found, size := []types.FilteredLogEvent{}, 0
	var heads []*head
	for _, s := range streams {
		c, err := a.events.from(g.directory(s), positions[s.ID])
		if err != nil {
			return found, false, err
		}
		h := &head{stream: s, cursor: c}
		switch ok, err := h.advance(wanted); {
		case err != nil:
			return found, false, err
		case ok:
			heads = append(heads, h)
		}
	}
	for len(heads) > 0 && len(found) < limit && size < maxAnswerBytes {
		first := heads[0]
		for _, h := range heads[1:] {
			if h.event.Time < first.event.Time {
				first = h
			}
		}
		e := first.event
		found = append(found, types.FilteredLogEvent{
			LogStreamName: aws.String(first.stream.Name), Timestamp: aws.Int64(e.Time), IngestionTime: aws.Int64(e.Ingested), Message: aws.String(e.Message),
			EventId: aws.String(fmt.Sprintf("%s-%d", first.stream.ID, e.begin)),
		})
		size += len(e.Message)
		positions[first.stream.ID] = e.end
		ok, err := first.advance(wanted)
		if err != nil {
			return found, false, err
		}
		if !ok {
			heads = slices.DeleteFunc(heads, func(h *head) bool { return h == first })
		}
	}
	return found, len(heads) > 0, nil
}
