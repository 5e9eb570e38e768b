package sns

import (
	"fmt"
	"strings"
	"time"
)

// Topic is an SNS topic. All fields are written by the actions of this package.
type Topic struct {
	Account, Region, Name string
	Created               time.Time
	Attributes            map[string]string `json:",omitempty"`
	Tags                  map[string]string `json:",omitempty"`
}

// Subscription sends what is published to a topic to an endpoint.
type Subscription struct {
	Account, Region, Topic string
	ID                     string
	Protocol               string // http or https
	Endpoint               string
	Token                  string // that confirms it
	Made                   time.Time
	Confirmed              bool
	// GuardedUnsubscribe lets only signed requests end it.
	GuardedUnsubscribe bool              `json:",omitempty"`
	Attributes         map[string]string `json:",omitempty"`
}

// Delivery is a message on its way to one subscription.
type Delivery struct {
	Subscription string // its record's key
	Message      Message
	Attempts     int
	Next         time.Time // not before
}

// Message is what was published, or asks for a subscription's confirmation.
type Message struct {
	ID         string
	Type       string // Notification, SubscriptionConfirmation
	TopicARN   string
	Subject    *string `json:",omitempty"`
	Text       string
	Token      string               `json:",omitempty"`
	Attributes map[string]Attribute `json:",omitempty"`
	Published  time.Time
	Version    string // of the signature, 1 or 2
}

// Attribute is a message attribute in the form that it is delivered in.
type Attribute struct{ Type, Value string }

// place is the account and region that topics belong to.
type place struct{ account, region string }

func (p place) record(name string) string { return p.account + "/" + p.region + "/" + name }

func (p place) arn(name string) string {
	return fmt.Sprintf("arn:aws:sns:%s:%s:%s", p.region, p.account, name)
}

// parseARN takes apart the ARN of a topic or subscription, whose id is empty for
// a topic.
func parseARN(arn string) (p place, topic, id string, ok bool) {
	parts := strings.Split(arn, ":")
	if len(parts) < 6 || len(parts) > 7 || strings.Join(parts[:3], ":") != "arn:aws:sns" {
		return p, "", "", false
	}
	if len(parts) == 7 {
		id = parts[6]
	}
	return place{parts[4], parts[3]}, parts[5], id, true
}

// ARN is that of the topic.
func (t Topic) ARN() string { return place{t.Account, t.Region}.arn(t.Name) }

func (s Subscription) place() place     { return place{s.Account, s.Region} }
func (s Subscription) topicARN() string { return s.place().arn(s.Topic) }
func (s Subscription) arn() string      { return s.topicARN() + ":" + s.ID }
func (s Subscription) record() string   { return s.place().record(s.Topic + "/" + s.ID) }
