package awswire

import (
	"encoding/json"
	"net/http"
	"strings"
)

// fallbackCodec answers while the service is not known: in JSON to clients that
// speak it, in the envelope of AWS Query to all others.
func fallbackCodec(r *http.Request) codec {
	if r.Header.Get("X-Amz-Target") != "" || strings.Contains(r.Header.Get("Content-Type"), "json") {
		return jsonFallback{}
	}
	return queryCodec{}
}

// jsonFallback has the errors of the JSON protocols and no requests.
type jsonFallback struct{ queryCodec }

func (jsonFallback) failure(_ *Service, e *Error, _ string) []byte {
	body, _ := json.Marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{e.Code, e.Message})
	return body
}

func (jsonFallback) contentType() string { return "application/x-amz-json-1.1" }
