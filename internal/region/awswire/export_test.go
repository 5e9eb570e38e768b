package awswire

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// RegisterClient registers every operation of an SDK client that the model has
// the types of, without meaning.
func RegisterClient(s *Service, client any, only func(operation string) bool) {
	t := reflect.TypeOf(client)
	for i := range t.NumMethod() {
		m := t.Method(i)
		if _, known := s.model.operations[m.Name]; known && only(m.Name) {
			s.register(m.Type.In(2).Elem(), m.Type.Out(0).Elem(), func(context.Context, any) (any, error) { return nil, nil })
		}
	}
}

// CheckSignature parses and verifies a signature, for the fuzzer.
func CheckSignature(r *http.Request, body []byte, secret string, now time.Time) bool {
	s, _ := parseSignature(r)
	return s != nil && s.verify(r, body, secret, now).reason == accepted
}

// DecodeQuery decodes a form as the input of an operation.
func DecodeQuery(s *Service, operation string, form []byte) (any, error) {
	r := &http.Request{URL: &url.URL{Path: "/"}, Body: http.NoBody}
	c, err := s.codec.parse(s, r, form)
	if err != nil {
		return nil, err
	}
	a := s.actions[operation]
	in := a.newInput()
	return in, c.decode(a, in)
}

// DecodeJSON decodes a body as the input of an operation of a JSON service.
func DecodeJSON(s *Service, operation string, body []byte) (any, error) {
	target := s.codec.(jsonCodec).target + "." + operation
	r := &http.Request{Method: http.MethodPost, Header: http.Header{"X-Amz-Target": {target}}}
	c, err := s.codec.parse(s, r, body)
	if err != nil {
		return nil, err
	}
	a := s.actions[operation]
	in := a.newInput()
	return in, c.decode(a, in)
}

// DecodeRESTJSON decodes a body that was sent to a path of a REST-JSON service.
func DecodeRESTJSON(s *Service, path string, body []byte) (any, error) {
	r := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: path}, Header: http.Header{}}
	c, err := s.codec.parse(s, r, body)
	if err != nil {
		return nil, err
	}
	a := s.actions[c.operation]
	in := a.newInput()
	return in, c.decode(a, in)
}

// HasTypes says whether the model has the types of an operation.
func (s *Service) HasTypes(operation string) bool {
	for name := range s.model.members {
		if strings.HasPrefix(name, operation+"Input.") || strings.HasPrefix(name, operation+"Output.") {
			return true
		}
	}
	return false
}

// Hash is the payload hash of a body.
func Hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// Encode is the body of an answer.
func Encode(s *Service, operation string, out any) ([]byte, error) {
	return s.codec.result(nil, s, s.actions[operation], out, newRequestID())
}
