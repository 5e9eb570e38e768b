package awswire_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
)

// keys is a service of the JSON protocol with a few actions.
func keys() *awswire.Service {
	s := awswire.KMS()
	awswire.Register(s, func(_ context.Context, in *kms.DescribeKeyInput) (*kms.DescribeKeyOutput, error) {
		if *in.KeyId == "gone" {
			return nil, awswire.BadRequestf("NotFoundException", "Key 'gone' does not exist")
		}
		return &kms.DescribeKeyOutput{KeyMetadata: &types.KeyMetadata{
			KeyId: in.KeyId, CreationDate: aws.Time(time.UnixMilli(1767323045678)), MultiRegion: aws.Bool(false),
		}}, nil
	})
	awswire.Register(s, func(context.Context, *kms.ListAliasesInput) (*kms.ListAliasesOutput, error) { return nil, nil })
	awswire.Register(s, func(context.Context, *kms.EncryptInput) (*kms.EncryptOutput, error) { return nil, nil })
	return s
}

// postJSON sends a signed request of the JSON protocol as it is given.
func postJSON(t *testing.T, url, method, target, body string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: wiretest.AccessKey, SecretAccessKey: wiretest.SecretKey},
		r, awswire.Hash(body), "kms", wiretest.Region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(answer)
}

func TestJSONAnswersAreThoseOfAWS(t *testing.T) {
	url := *wiretest.Serve(t, keys()).BaseEndpoint
	for name, test := range map[string]struct{ target, body, want string }{
		"times are seconds":       {"TrentService.DescribeKey", `{"KeyId":"k"}`, `{"KeyMetadata":{"CreationDate":1767323045.678,"Enabled":false,"KeyId":"k","MultiRegion":false}}`},
		"lists are there":         {"TrentService.ListAliases", `{}`, `{"Aliases":[],"Truncated":false}`},
		"no body is no member":    {"TrentService.ListAliases", ``, `{"Aliases":[],"Truncated":false}`},
		"unknown members are let": {"TrentService.ListAliases", `{"Nonsense":[1,{"a":null}]}`, `{"Aliases":[],"Truncated":false}`},
		"null is nothing":         {"TrentService.ListAliases", `{"Limit":null}`, `{"Aliases":[],"Truncated":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			resp, got := postJSON(t, url, http.MethodPost, test.target, test.body, nil)
			if resp.StatusCode != 200 || got != test.want || resp.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
				t.Errorf("%s %v: %s", resp.Status, resp.Header, got)
			}
			if len(resp.Header.Get("X-Amzn-RequestId")) != 36 {
				t.Error("no request id")
			}
		})
	}
}

func TestBadJSONRequestsAreRefusedWithAWSsCodes(t *testing.T) {
	url := *wiretest.Serve(t, keys()).BaseEndpoint
	const secret = "c2VjcmV0IQ!"
	noSignature := func(r *http.Request) { r.Header.Del("Authorization") }
	otherBody := func(r *http.Request) { setBody(r, `{"KeyId":"x"}`) }
	token := func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }
	for name, test := range map[string]struct {
		target, body, code string
		change             func(*http.Request)
	}{
		"another service":      {"secretsmanager.ListSecrets", `{}`, "UnknownOperationException", nil},
		"no target":            {"", `{}`, "UnknownOperationException", nil},
		"no such operation":    {"TrentService.Nonsense", `{}`, "UnknownOperationException", nil},
		"one that is not here": {"TrentService.CreateKey", `{}`, "UnknownOperationException", nil},
		"not JSON":             {"TrentService.DescribeKey", `KeyId=1`, "SerializationException", nil},
		"half":                 {"TrentService.DescribeKey", `{"KeyId":`, "SerializationException", nil},
		"twice":                {"TrentService.DescribeKey", `{"KeyId":"k"}{}`, "SerializationException", nil},
		"no object":            {"TrentService.DescribeKey", `["KeyId"]`, "SerializationException", nil},
		"number for text":      {"TrentService.DescribeKey", `{"KeyId":1}`, "SerializationException", nil},
		"text for number":      {"TrentService.ListAliases", `{"Limit":"1"}`, "SerializationException", nil},
		"fraction":             {"TrentService.ListAliases", `{"Limit":1.5}`, "SerializationException", nil},
		"too large a number":   {"TrentService.ListAliases", `{"Limit":3000000000}`, "SerializationException", nil},
		"null in a list":       {"TrentService.Encrypt", `{"KeyId":"k","Plaintext":"AA==","GrantTokens":[null]}`, "SerializationException", nil},
		"not base64":           {"TrentService.Encrypt", `{"KeyId":"k","Plaintext":"` + secret + `"}`, "SerializationException", nil},
		"required":             {"TrentService.DescribeKey", `{}`, "ValidationException", nil},
		"required, null":       {"TrentService.DescribeKey", `{"KeyId":null}`, "ValidationException", nil},
		"action's error":       {"TrentService.DescribeKey", `{"KeyId":"gone"}`, "NotFoundException", nil},
		"no signature":         {"TrentService.DescribeKey", `{"KeyId":"k"}`, "MissingAuthenticationTokenException", noSignature},
		"other body":           {"TrentService.DescribeKey", `{"KeyId":"k"}`, "InvalidSignatureException", otherBody},
		"unknown token":        {"TrentService.DescribeKey", `{"KeyId":"k"}`, "UnrecognizedClientException", token},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := postJSON(t, url, http.MethodPost, test.target, test.body, test.change)
			var e struct {
				Type    string `json:"__type"`
				Message string `json:"message"`
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if resp.StatusCode != 400 || e.Type != test.code || resp.Header.Get("X-Amzn-ErrorType") != test.code || e.Message == "" {
				t.Errorf("%s %s, want %s", resp.Status, body, test.code)
			}
			if strings.Contains(body, secret) {
				t.Errorf("the answer holds the value: %s", body)
			}
		})
	}
}

func TestTheSDKKnowsErrorsOfJSONServicesAsItsOwn(t *testing.T) {
	client := kms.NewFromConfig(wiretest.Serve(t, keys()))
	_, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("gone")})
	var notFound *types.NotFoundException
	if !errors.As(err, &notFound) || notFound.ErrorMessage() != "Key 'gone' does not exist" {
		t.Errorf("error %v", err)
	}
}
