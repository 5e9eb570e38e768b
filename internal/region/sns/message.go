package sns

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
)

// body is what is sent to an endpoint, signed.
func (a *API) body(ctx context.Context, s Subscription, m Message) ([]byte, error) {
	if m.Type == notification && s.Attributes["RawMessageDelivery"] == "true" {
		return []byte(m.Text), nil
	}
	fields := map[string]string{
		"Type": m.Type, "MessageId": m.ID, "TopicArn": m.TopicARN, "Message": m.Text,
		"Timestamp": m.Published.UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	signed := []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	if m.Subject != nil {
		fields["Subject"] = *m.Subject
	}
	if m.Type == confirmation {
		fields["Token"] = m.Token
		fields["SubscribeURL"] = a.link(url.Values{"Action": {"ConfirmSubscription"}, "TopicArn": {m.TopicARN}, "Token": {m.Token}})
	} else {
		fields["UnsubscribeURL"] = a.link(url.Values{"Action": {"Unsubscribe"}, "SubscriptionArn": {s.arn()}})
	}
	signer, err := a.signing(ctx)
	if err != nil {
		return nil, err
	}
	signature, err := signer.sign(canonical(fields, signed), m.Version)
	if err != nil {
		return nil, err
	}
	fields["SignatureVersion"], fields["Signature"], fields["SigningCertURL"] = m.Version, signature, a.url+CertificatePath
	object := map[string]any{}
	for name, value := range fields {
		object[name] = value
	}
	if len(m.Attributes) > 0 {
		object["MessageAttributes"] = m.Attributes
	}
	return json.MarshalIndent(object, "", "  ")
}

// canonical is the text that is signed: the names and values of those of the
// fields that the message has.
func canonical(fields map[string]string, names []string) string {
	var b strings.Builder
	for _, name := range names {
		if value, ok := fields[name]; ok {
			b.WriteString(name + "\n" + value + "\n")
		}
	}
	return b.String()
}

// link is the address of an action that anyone may call who has it.
func (a *API) link(query url.Values) string {
	query.Set("Version", "2010-03-31")
	return a.url + "/?" + query.Encode()
}

// CertificatePath is where the certificate of the signatures is served.
const CertificatePath = "/SimpleNotificationService.pem"

// Types of messages.
const (
	notification = "Notification"
	confirmation = "SubscriptionConfirmation"
)
