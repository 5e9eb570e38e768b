package sns

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Config is what the service works with.
type Config struct {
	Store   *state.Store
	Keyring *keyring.Keyring
	Logger  *slog.Logger
	URL     string         // of the region, for the links in messages
	Allow   []netip.Prefix // that messages may go to beside public addresses
	// RetryDelay is the pause before a delivery is tried again; 20 s if 0.
	RetryDelay time.Duration
}

// API holds the actions.
type API struct {
	store         *state.Store
	topics        state.Table[Topic]
	subscriptions state.Table[Subscription]
	deliveries    state.Table[Delivery]
	queue         *state.Mirror[Delivery]
	keyring       *keyring.Keyring
	signerMu      sync.Mutex
	signer        *signer // nil until it is needed
	url           string
	allowed       destinations
	client        *http.Client
	logger        *slog.Logger
	retryDelay    time.Duration
}

// Service is SNS, and the certificate that its messages are verified with.
type Service struct {
	*awswire.Service
	Certificate http.Handler
}

// New returns the SNS service, which delivers messages until ctx ends.
func New(ctx context.Context, cfg Config) (Service, error) {
	a := &API{
		store: cfg.Store, topics: topicTable(cfg.Store),
		subscriptions: subscriptionTable(cfg.Store),
		deliveries:    deliveryTable(cfg.Store),
		keyring:       cfg.Keyring, url: cfg.URL, allowed: cfg.Allow, logger: cfg.Logger, retryDelay: cfg.RetryDelay,
	}
	if a.retryDelay == 0 {
		a.retryDelay = 20 * time.Second
	}
	a.client = a.newClient()
	var err error
	if a.queue, err = state.NewMirror(ctx, a.deliveries); err != nil {
		return Service{}, fmt.Errorf("sns: %w", err)
	}
	go a.deliver(ctx)
	return Service{a.service(), http.HandlerFunc(a.serveCertificate)}, nil
}

func (a *API) serveCertificate(w http.ResponseWriter, r *http.Request) {
	s, err := a.signing(r.Context())
	if err != nil {
		http.Error(w, "The certificate cannot be read at the moment.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write(s.certificate) // a client that went away is no error of ours
}

func (a *API) service() *awswire.Service {
	s := awswire.SNS()
	awswire.Register(s, a.CreateTopic)
	awswire.Register(s, a.DeleteTopic)
	awswire.Register(s, a.ListTopics)
	awswire.Register(s, a.GetTopicAttributes)
	awswire.Register(s, a.SetTopicAttributes)
	awswire.Register(s, a.Subscribe)
	awswire.Register(s, a.ConfirmSubscription)
	awswire.Register(s, a.Unsubscribe)
	awswire.Register(s, a.ListSubscriptions)
	awswire.Register(s, a.ListSubscriptionsByTopic)
	awswire.Register(s, a.GetSubscriptionAttributes)
	awswire.Register(s, a.SetSubscriptionAttributes)
	awswire.Register(s, a.Publish)
	awswire.Register(s, a.TagResource)
	awswire.Register(s, a.UntagResource)
	awswire.Register(s, a.ListTagsForResource)
	s.AllowAnonymous("ConfirmSubscription", "Unsubscribe")
	s.NamePolicies(a.policyOf)
	s.NameResources(func(ctx context.Context, in any) []string {
		v := reflect.ValueOf(in).Elem()
		for _, name := range []string{"TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn"} {
			if f := v.FieldByName(name); f.IsValid() && !f.IsNil() {
				return []string{f.Elem().String()}
			}
		}
		if f := v.FieldByName("Name"); f.IsValid() && !f.IsNil() {
			return []string{placeOf(ctx).arn(f.Elem().String())}
		}
		return nil
	})
	return s
}

// policyOf is the policy of a topic, or of a subscription's topic. The default one
// lets in only whom the policies of users let in anyway.
func (a *API) policyOf(ctx context.Context, arn string) (awswire.ResourcePolicy, error) {
	p, name, _, ok := parseARN(arn)
	if !ok || p != placeOf(ctx) {
		return awswire.ResourcePolicy{}, nil
	}
	item, err := a.topics.Get(ctx, p.record(name))
	if errors.Is(err, state.ErrNotFound) {
		return awswire.ResourcePolicy{}, nil
	}
	return awswire.ResourcePolicy{Document: item.Value.Attributes["Policy"]}, err
}

func placeOf(ctx context.Context) place {
	id := awswire.IdentityFrom(ctx)
	return place{id.Account, id.Region}
}

// topic reads the caller's topic.
func (a *API) topic(ctx context.Context, arn *string) (state.Item[Topic], error) {
	given := ""
	if arn != nil {
		given = *arn
	}
	p, name, id, ok := parseARN(given)
	if !ok || id != "" {
		return state.Item[Topic]{}, invalid("Invalid parameter: TopicArn")
	}
	if p != placeOf(ctx) {
		return state.Item[Topic]{}, topicNotFound()
	}
	item, err := a.topics.Get(ctx, p.record(name))
	if errors.Is(err, state.ErrNotFound) {
		return item, topicNotFound()
	}
	return item, err
}

func topicNotFound() error {
	return awswire.Errorf(http.StatusNotFound, "NotFound", "Topic does not exist")
}

func pages() awswire.PageLimits {
	return awswire.PageLimits{Min: 1, Max: 100, Default: 100, Parameter: "MaxResults", Code: "InvalidParameter"}
}

// newID is a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
