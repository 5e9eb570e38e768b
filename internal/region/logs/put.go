package logs

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// Limits of PutLogEvents, as on AWS.
const (
	maxBatch      = 10000
	maxBatchBytes = 1 << 20
	maxEventBytes = 1<<18 - eventOverhead
	eventOverhead = 26
	oldestEvent   = 14 * 24 * time.Hour
	newestEvent   = 2 * time.Hour
)

// PutLogEvents adds events to a stream, in the order of their time.
func (a *API) PutLogEvents(ctx context.Context, in *api.PutLogEventsInput) (*api.PutLogEventsOutput, error) {
	g, err := a.group(ctx, in.LogGroupName)
	if err != nil {
		return nil, err
	}
	s, err := a.stream(ctx, g.Value, in.LogStreamName)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.LogEvents); err != nil {
		return nil, err
	}
	batch, rejected := a.accepted(g.Value, in.LogEvents)
	directory := g.Value.directory(s.Value)
	if len(batch) > 0 {
		if err := a.events.append(directory, batch); err != nil {
			return nil, err
		}
	}
	return &api.PutLogEventsOutput{NextSequenceToken: aws.String(forwardToken(a.events.size(directory))), RejectedLogEventsInfo: rejected}, nil
}

func checkBatch(batch []types.InputLogEvent) error {
	if len(batch) == 0 || len(batch) > maxBatch {
		return invalid("1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length between 1 and %d", maxBatch)
	}
	size := 0
	for i, e := range batch {
		message := aws.ToString(e.Message)
		switch {
		case e.Timestamp == nil || e.Message == nil || message == "" || *e.Timestamp < 0:
			return invalid("Log event %d must have a timestamp and a message.", i)
		case !utf8.ValidString(message):
			return invalid("The message of log event %d is not UTF-8.", i)
		case len(message) > maxEventBytes:
			return invalid("Log event too large: %d bytes exceeds limit of %d", len(message)+eventOverhead, maxEventBytes+eventOverhead)
		case i > 0 && *e.Timestamp < *batch[i-1].Timestamp:
			return invalid("Log events in a single PutLogEvents request must be in chronological order.")
		case *e.Timestamp-*batch[0].Timestamp > (24 * time.Hour).Milliseconds():
			return invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
		}
		size += len(message) + eventOverhead
	}
	if size > maxBatchBytes {
		return invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatchBytes)
	}
	return nil
}

// accepted are the events that are neither too old nor of the future, and what is
// to be said of the others.
func (a *API) accepted(g Group, batch []types.InputLogEvent) ([]Event, *types.RejectedLogEventsInfo) {
	now := a.now()
	var kept []Event
	var rejected types.RejectedLogEventsInfo
	for i, e := range batch {
		event := Event{Time: *e.Timestamp, Ingested: now.UnixMilli(), Message: *e.Message}
		switch {
		case event.Time > now.Add(newestEvent).UnixMilli():
			if rejected.TooNewLogEventStartIndex == nil {
				rejected.TooNewLogEventStartIndex = aws.Int32(int32(i))
			}
		case !g.kept(event, now):
			rejected.ExpiredLogEventEndIndex = aws.Int32(int32(i + 1))
		case event.Time < now.Add(-oldestEvent).UnixMilli():
			rejected.TooOldLogEventEndIndex = aws.Int32(int32(i + 1))
		default:
			kept = append(kept, event)
		}
	}
	if len(kept) == len(batch) {
		return kept, nil
	}
	return kept, &rejected
}
