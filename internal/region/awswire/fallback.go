package awswire

import (
	"net/http"
	"strings"
)

// fallbackCodec answers while the service is not known: in JSON to clients that
// speak it, in the envelope of AWS Query to all others.
func fallbackCodec(r *http.Request) codec {
	if r.Header.Get("X-Amz-Target") != "" || strings.Contains(r.Header.Get("Content-Type"), "json") {
		return jsonCodec{version: "1.1"}
	}
	return queryCodec{}
}
