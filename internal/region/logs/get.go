package logs

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// What one answer has of events at most.
const (
	maxEvents      = 10000
	maxAnswerBytes = 1 << 20
)

// Tokens are positions in the stream: from one on, or before it.
func forwardToken(position int64) string  { return fmt.Sprintf("f/%056d", position) }
func backwardToken(position int64) string { return fmt.Sprintf("b/%056d", position) }

func readToken(token string) (position int64, forward bool, err error) {
	direction, digits, _ := strings.Cut(token, "/")
	position, err = strconv.ParseInt(digits, 10, 64)
	if err != nil || position < 0 || direction != "f" && direction != "b" {
		return 0, false, invalid("The specified nextToken is invalid.")
	}
	return position, direction == "f", nil
}

// GetLogEvents answers events of one stream: the newest ones, or from the head or
// a token on.
func (a *API) GetLogEvents(ctx context.Context, in *api.GetLogEventsInput) (*api.GetLogEventsOutput, error) {
	g, err := a.group(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	s, err := a.stream(ctx, g.Value, in.LogStreamName)
	if err != nil {
		return nil, err
	}
	limit, err := eventLimit(in.Limit)
	if err != nil {
		return nil, err
	}
	position, forward := int64(0), aws.ToBool(in.StartFromHead)
	if !forward {
		position = math.MaxInt64
	}
	if in.NextToken != nil {
		if position, forward, err = readToken(*in.NextToken); err != nil {
			return nil, err
		}
	}
	now, asked := a.now(), window{in.StartTime, in.EndTime}
	wanted := func(e Event) bool { return asked.has(e) && g.Value.kept(e, now) }
	directory := g.Value.directory(s.Value)
	var found []placedEvent
	var first, next int64
	if forward {
		found, next, err = a.events.forwards(directory, position, limit, maxAnswerBytes, wanted)
		first = position
	} else {
		found, err = a.events.backwards(directory, position, limit, maxAnswerBytes, wanted)
		first, next = min(position, a.events.end(directory)), min(position, a.events.end(directory))
	}
	if len(found) > 0 {
		first = found[0].begin
	}
	out := &api.GetLogEventsOutput{Events: []types.OutputLogEvent{}, NextForwardToken: aws.String(forwardToken(next)), NextBackwardToken: aws.String(backwardToken(first))}
	for _, e := range found {
		out.Events = append(out.Events, types.OutputLogEvent{Timestamp: &e.Time, IngestionTime: &e.Ingested, Message: &e.Message})
	}
	return out, err
}

// end is the position after the last event.
func (e *events) end(stream string) int64 {
	all, _ := e.segments(stream)
	if len(all) == 0 {
		return 0
	}
	last := all[len(all)-1]
	return last.from + last.size
}

func eventLimit(asked *int32) (int, error) {
	if asked == nil {
		return maxEvents, nil
	}
	if *asked < 1 || *asked > maxEvents {
		return 0, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must be between 1 and %d", *asked, maxEvents)
	}
	return int(*asked), nil
}
