package sns

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	maxMessage = 256 << 10
	// The queue is bounded: what endpoints do not take piles up in the state.
	maxQueued      = 1000
	maxQueuedBytes = 16 << 20
)

// Publish stores a message for each confirmed subscription, and answers.
func (a *API) Publish(ctx context.Context, in *api.PublishInput) (*api.PublishOutput, error) {
	if in.PhoneNumber != nil || in.MessageGroupId != nil || in.MessageDeduplicationId != nil {
		return nil, invalid("Invalid parameter: phone numbers and FIFO topics are not available in this region")
	}
	arn := in.TopicArn
	if arn == nil {
		arn = in.TargetArn
	}
	topic, err := a.topic(ctx, arn)
	if err != nil {
		return nil, err
	}
	m := newMessage(topic.Value, notification)
	m.Subject, m.Text = in.Subject, aws.ToString(in.Message)
	if err := checkMessage(m); err != nil {
		return nil, err
	}
	if m.Attributes, err = attributes(in); err != nil {
		return nil, err
	}
	items, err := a.of(ctx, topic.Value)
	if err != nil {
		return nil, err
	}
	byProtocol, err := texts(m.Text, in.MessageStructure)
	if err != nil {
		return nil, err
	}
	for protocol, text := range byProtocol {
		var to []Subscription
		for _, item := range items {
			if item.Value.Confirmed && item.Value.Protocol == protocol {
				to = append(to, item.Value)
			}
		}
		m.Text = text
		if err := a.enqueue(ctx, m, to); err != nil {
			return nil, err
		}
	}
	return &api.PublishOutput{MessageId: &m.ID}, nil
}

func newMessage(t Topic, kind string) Message {
	version := t.Attributes["SignatureVersion"]
	if version == "" {
		version = "1"
	}
	return Message{ID: newID(), Type: kind, TopicARN: t.ARN(), Published: time.Now().UTC(), Version: version}
}

func checkMessage(m Message) error {
	switch {
	case m.Text == "":
		return invalid("Invalid parameter: Empty message")
	case len(m.Text) > maxMessage:
		return invalid("Invalid parameter: Message too long")
	case !utf8.ValidString(m.Text):
		return invalid("Invalid parameter: Message is not valid UTF-8")
	case m.Subject != nil && (*m.Subject == "" || len(*m.Subject) > 100 || strings.ContainsFunc(*m.Subject, func(r rune) bool { return r < ' ' })):
		return invalid("Invalid parameter: Subject must have 1 to 100 characters and no line breaks")
	}
	return nil
}

// texts are the texts for each protocol. With the structure "json" the message
// holds them, and one for all that it does not name.
func texts(message string, structure *string) (map[string]string, error) {
	if aws.ToString(structure) == "" {
		return map[string]string{"http": message, "https": message}, nil
	}
	if *structure != "json" {
		return nil, invalid("Invalid parameter: MessageStructure must be json")
	}
	var of map[string]any
	if err := json.Unmarshal([]byte(message), &of); err != nil {
		return nil, invalid("Invalid parameter: Message Structure - JSON message body failed to parse")
	}
	byDefault, ok := of["default"].(string)
	if !ok {
		return nil, invalid("Invalid parameter: Message Structure - No default entry in JSON message body")
	}
	chosen := map[string]string{"http": byDefault, "https": byDefault}
	for protocol := range chosen {
		if text, ok := of[protocol].(string); ok {
			chosen[protocol] = text
		}
	}
	return chosen, nil
}

func attributes(in *api.PublishInput) (map[string]Attribute, error) {
	attributes := map[string]Attribute{}
	for name, v := range in.MessageAttributes {
		kind, _, _ := strings.Cut(aws.ToString(v.DataType), ".")
		switch {
		case name == "" || len(name) > 256:
			return nil, awswire.BadRequestf("ParameterValueInvalid", "The name of a message attribute must have 1 to 256 characters.")
		case kind == "Binary" && len(v.BinaryValue) > 0:
			attributes[name] = Attribute{*v.DataType, base64.StdEncoding.EncodeToString(v.BinaryValue)}
		case (kind == "String" || kind == "Number") && aws.ToString(v.StringValue) != "":
			attributes[name] = Attribute{*v.DataType, *v.StringValue}
		default:
			return nil, awswire.BadRequestf("ParameterValueInvalid", "The message attribute '%.256s' must contain a non-empty message attribute value of its type: String, Number or Binary.", name)
		}
	}
	return attributes, nil
}

// enqueue stores a delivery to each subscription, unless too many wait.
func (a *API) enqueue(ctx context.Context, m Message, to []Subscription) error {
	waiting, bytes := 0, 0
	for _, item := range a.queue.All() {
		waiting++
		bytes += len(item.Value.Message.Text)
	}
	if waiting+len(to) > maxQueued || bytes+len(to)*len(m.Text) > maxQueuedBytes {
		return awswire.Errorf(http.StatusTooManyRequests, "Throttled", "Too many messages wait for their endpoints. Try again later.")
	}
	for i, s := range to {
		key := fmt.Sprintf("%020d-%s-%04d", m.Published.UnixNano(), m.ID, i)
		if m.Type == confirmation {
			key = "confirm-" + s.ID // one at a time
		}
		rev, err := a.deliveries.Create(ctx, key, Delivery{Subscription: s.record(), Message: m, Next: m.Published})
		if errors.Is(err, state.ErrExists) && m.Type == confirmation {
			continue
		}
		if err != nil {
			return err
		}
		if err := a.queue.WaitRevision(ctx, rev); err != nil {
			return err
		}
	}
	return nil
}
