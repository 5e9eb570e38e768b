package sns_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
	"github.com/daybreakdb/daybreak/internal/region/sns"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// message is what an endpoint was sent.
type message struct {
	header                                                                    http.Header
	raw                                                                       string
	Type, MessageId, TopicArn, Subject, Message, Timestamp, Token             string
	SubscribeURL, UnsubscribeURL, SignatureVersion, Signature, SigningCertURL string
	MessageAttributes                                                         map[string]sns.Attribute
}

// endpoint is a subscriber; it answers with what refuse says, or 200.
func endpoint(t *testing.T, refuse func(n int) int) (string, <-chan message) {
	t.Helper()
	got := make(chan message, 100)
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		m := message{header: r.Header, raw: string(body)}
		_ = json.Unmarshal(body, &m) // raw messages are none
		if nth := n.Add(1); refuse != nil {
			w.WriteHeader(refuse(int(nth)))
		}
		got <- m
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func receive(t *testing.T, from <-chan message) message {
	t.Helper()
	select {
	case m := <-from:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("no message came")
		return message{}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func newTopic(t *testing.T, client *api.Client, attributes map[string]string) *string {
	t.Helper()
	out, err := client.CreateTopic(t.Context(), &api.CreateTopicInput{Name: aws.String("events"), Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return out.TopicArn
}

// verify checks a message's signature as a subscriber does: with the certificate
// whose address is in it.
func verify(t *testing.T, m message) {
	t.Helper()
	status, text := get(t, m.SigningCertURL)
	block, _ := pem.Decode([]byte(text))
	if status != 200 || block == nil {
		t.Fatalf("certificate %d %s", status, text)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var signed strings.Builder
	for _, f := range [][2]string{{"Message", m.Message}, {"MessageId", m.MessageId}, {"Subject", m.Subject}, {"SubscribeURL", m.SubscribeURL},
		{"Timestamp", m.Timestamp}, {"Token", m.Token}, {"TopicArn", m.TopicArn}, {"Type", m.Type}} {
		if f[1] != "" {
			signed.WriteString(f[0] + "\n" + f[1] + "\n")
		}
	}
	hash, sum := crypto.SHA1, sha1.Sum([]byte(signed.String()))
	digest := sum[:]
	if m.SignatureVersion == "2" {
		sum := sha256.Sum256([]byte(signed.String()))
		hash, digest = crypto.SHA256, sum[:]
	}
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err == nil {
		err = rsa.VerifyPKCS1v15(certificate.PublicKey.(*rsa.PublicKey), hash, digest, signature)
	}
	if err != nil {
		t.Errorf("signature: %v", err)
	}
}

func TestAnEndpointConfirmsAndThenGetsWhatIsPublished(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		t.Run("signature version "+version, func(t *testing.T) {
			client, ctx := api.NewFromConfig(regiontest.Serve(t).Root), t.Context()
			topic := newTopic(t, client, map[string]string{"SignatureVersion": version})
			url, messages := endpoint(t, nil)
			out, err := client.Subscribe(ctx, &api.SubscribeInput{TopicArn: topic, Protocol: aws.String("http"), Endpoint: &url})
			if err != nil || *out.SubscriptionArn != "pending confirmation" {
				t.Fatalf("%+v, %v", out, err)
			}
			ask := receive(t, messages)
			if ask.Type != "SubscriptionConfirmation" || ask.TopicArn != *topic || ask.header.Get("X-Amz-Sns-Message-Type") != ask.Type {
				t.Errorf("%+v", ask)
			}
			verify(t, ask)
			if _, err := client.Publish(ctx, &api.PublishInput{TopicArn: topic, Message: aws.String("too early")}); err != nil {
				t.Fatal(err)
			}
			if status, body := get(t, strings.Replace(ask.SubscribeURL, ask.Token, ask.Token+"x", 1)); status != 400 {
				t.Errorf("another token: %d %s", status, body)
			}
			if status, body := get(t, ask.SubscribeURL); status != 200 || !strings.Contains(body, "<SubscriptionArn>"+*topic+":") {
				t.Fatalf("confirmation: %d %s", status, body)
			}
			published, err := client.Publish(ctx, &api.PublishInput{
				TopicArn: topic, Subject: aws.String("hello"), Message: aws.String("a < b & c\n"),
				MessageAttributes: map[string]types.MessageAttributeValue{"n": {DataType: aws.String("Number"), StringValue: aws.String("1")}},
			})
			if err != nil {
				t.Fatal(err)
			}
			m := receive(t, messages)
			if m.Type != "Notification" || m.MessageId != *published.MessageId || m.Message != "a < b & c\n" || m.Subject != "hello" ||
				m.SignatureVersion != version || m.MessageAttributes["n"].Value != "1" {
				t.Errorf("%+v", m)
			}
			verify(t, m)
			if status, body := get(t, m.UnsubscribeURL); status != 200 {
				t.Errorf("leaving: %d %s", status, body)
			}
			left, err := client.ListSubscriptionsByTopic(ctx, &api.ListSubscriptionsByTopicInput{TopicArn: topic})
			if err != nil || len(left.Subscriptions) != 0 {
				t.Errorf("subscriptions %+v, %v", left, err)
			}
		})
	}
}

func TestLinksCallNothingElse(t *testing.T) {
	r := regiontest.Serve(t)
	for _, action := range []string{"Publish", "ListTopics", "DeleteTopic", "GetCallerIdentity"} {
		status, body := get(t, *r.Root.BaseEndpoint+"/?Version=2010-03-31&TopicArn=arn:aws:sns:us-west-2:"+wiretest.Account+":events&Action="+action)
		if status != 403 || !strings.Contains(body, "MissingAuthenticationToken") {
			t.Errorf("%s: %d %s", action, status, body)
		}
	}
	resp, err := http.Post(*r.Root.BaseEndpoint+"/?Action=Unsubscribe", "application/x-www-form-urlencoded", strings.NewReader("Version=2010-03-31"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("a form: %s", resp.Status)
	}
}

// serve is the service alone, with a short pause between attempts.
func serve(t *testing.T, allow ...netip.Prefix) *api.Client {
	t.Helper()
	keys, err := keyring.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, err := sns.New(t.Context(), sns.Config{
		Store: statetest.Start(t), Keyring: keys, Logger: slog.New(slog.DiscardHandler), URL: "http://region.test", Allow: allow, RetryDelay: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return api.NewFromConfig(wiretest.Serve(t, s.Service))
}

func loopback() netip.Prefix { return netip.MustParsePrefix("127.0.0.0/8") }

// confirmed subscribes an endpoint to a new topic.
func confirmed(t *testing.T, client *api.Client, url string, messages <-chan message, attributes map[string]string) (topic, subscription *string) {
	t.Helper()
	topic = newTopic(t, client, nil)
	if _, err := client.Subscribe(t.Context(), &api.SubscribeInput{TopicArn: topic, Protocol: aws.String("http"), Endpoint: &url, Attributes: attributes}); err != nil {
		t.Fatal(err)
	}
	token := receive(t, messages).Token
	out, err := client.ConfirmSubscription(t.Context(), &api.ConfirmSubscriptionInput{TopicArn: topic, Token: &token})
	if err != nil {
		t.Fatal(err)
	}
	return topic, out.SubscriptionArn
}

func TestARefusedMessageIsTriedAgainThreeTimes(t *testing.T) {
	client := serve(t, loopback())
	url, messages := endpoint(t, func(n int) int {
		if n == 1 || n > 5 { // the confirmation, and the message after the refused one
			return http.StatusOK
		}
		return http.StatusInternalServerError
	})
	topic, _ := confirmed(t, client, url, messages, nil)
	first, err := client.Publish(t.Context(), &api.PublishInput{TopicArn: topic, Message: aws.String("refused")})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if m := receive(t, messages); m.MessageId != *first.MessageId {
			t.Errorf("message %s, want %s", m.MessageId, *first.MessageId)
		}
	}
	if _, err := client.Publish(t.Context(), &api.PublishInput{TopicArn: topic, Message: aws.String("taken")}); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, messages); m.Message != "taken" {
		t.Errorf("after the last attempt: %+v", m)
	}
}

func TestRawMessagesAndThoseOfAProtocol(t *testing.T) {
	client := serve(t, loopback())
	url, messages := endpoint(t, nil)
	topic, subscription := confirmed(t, client, url, messages, map[string]string{"RawMessageDelivery": "true"})
	_, err := client.Publish(t.Context(), &api.PublishInput{
		TopicArn: topic, MessageStructure: aws.String("json"), Message: aws.String(`{"default":"for all","http":"for http","sms":"x"}`)})
	if err != nil {
		t.Fatal(err)
	}
	m := receive(t, messages)
	if m.raw != "for http" || m.header.Get("X-Amz-Sns-Rawdelivery") != "true" || m.header.Get("X-Amz-Sns-Subscription-Arn") != *subscription {
		t.Errorf("%+v", m)
	}
}

func TestMessagesGoWhereTheOperatorAllows(t *testing.T) {
	client := serve(t)
	topic := newTopic(t, client, nil)
	for _, url := range []string{
		"http://127.0.0.1:8420/", "http://localhost/", "http://[::1]/", "http://10.0.0.1/", "http://169.254.169.254/latest/", "http://0.0.0.0/",
		"http://[::ffff:127.0.0.1]/", "http://[fd00::1]/", "ftp://example.com/", "http://user:secret@example.com/", "https://example.com/", "x",
	} {
		_, err := client.Subscribe(t.Context(), &api.SubscribeInput{TopicArn: topic, Protocol: aws.String("http"), Endpoint: &url})
		if regiontest.Code(err) != "InvalidParameter" {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestBadRequestsAreRefusedInSNSsWords(t *testing.T) {
	client, ctx := serve(t, loopback()), t.Context()
	topic := newTopic(t, client, nil)
	publish := func(in api.PublishInput) error {
		if in.TopicArn == nil {
			in.TopicArn = topic
		}
		if in.Message == nil {
			in.Message = aws.String("x")
		}
		_, err := client.Publish(ctx, &in)
		return err
	}
	create := func(in api.CreateTopicInput) error {
		_, err := client.CreateTopic(ctx, &in)
		return err
	}
	set := func(name, value string) error {
		_, err := client.SetTopicAttributes(ctx, &api.SetTopicAttributesInput{TopicArn: topic, AttributeName: &name, AttributeValue: &value})
		return err
	}
	for name, test := range map[string]struct {
		err  error
		code string
	}{
		"no such topic":         {publish(api.PublishInput{TopicArn: aws.String(*topic + "x")}), "NotFound"},
		"another account's":     {publish(api.PublishInput{TopicArn: aws.String("arn:aws:sns:us-west-2:444455556666:events")}), "NotFound"},
		"no ARN":                {publish(api.PublishInput{TopicArn: aws.String("events")}), "InvalidParameter"},
		"an empty message":      {publish(api.PublishInput{Message: aws.String("")}), "InvalidParameter"},
		"too long":              {publish(api.PublishInput{Message: aws.String(strings.Repeat("x", 256<<10+1))}), "InvalidParameter"},
		"a subject of lines":    {publish(api.PublishInput{Subject: aws.String("a\nb")}), "InvalidParameter"},
		"no structure":          {publish(api.PublishInput{MessageStructure: aws.String("json")}), "InvalidParameter"},
		"no default":            {publish(api.PublishInput{MessageStructure: aws.String("json"), Message: aws.String(`{"http":"x"}`)}), "InvalidParameter"},
		"an attribute of none":  {publish(api.PublishInput{MessageAttributes: map[string]types.MessageAttributeValue{"a": {DataType: aws.String("Thing")}}}), "ParameterValueInvalid"},
		"a FIFO topic":          {create(api.CreateTopicInput{Name: aws.String("a.fifo")}), "InvalidParameter"},
		"other attributes":      {create(api.CreateTopicInput{Name: aws.String("events"), Attributes: map[string]string{"DisplayName": "x"}}), "InvalidParameter"},
		"no such attribute":     {set("Nonsense", "x"), "InvalidParameter"},
		"one without an effect": {set("HTTPSuccessFeedbackRoleArn", "arn:aws:iam::1:role/x"), "InvalidParameter"},
		"nothing":               {set("HTTPSuccessFeedbackSampleRate", "0"), ""},
		"no policy":             {set("Policy", "{}"), "InvalidParameter"},
		"no such key":           {set("KmsMasterKeyId", "alias/none"), "KMSNotFound"},
	} {
		if regiontest.Code(test.err) != test.code {
			t.Errorf("%s: %v, want %s", name, test.err, test.code)
		}
	}
	_, err := client.Subscribe(ctx, &api.SubscribeInput{TopicArn: topic, Protocol: aws.String("email"), Endpoint: aws.String("a@example.com")})
	if regiontest.Code(err) != "InvalidParameter" {
		t.Errorf("by mail: %v", err)
	}
	if _, err := client.DeleteTopic(ctx, &api.DeleteTopicInput{TopicArn: topic}); err != nil {
		t.Error(err)
	}
	if _, err := client.GetTopicAttributes(ctx, &api.GetTopicAttributesInput{TopicArn: topic}); regiontest.Code(err) != "NotFound" {
		t.Errorf("a deleted topic: %v", err)
	}
}
