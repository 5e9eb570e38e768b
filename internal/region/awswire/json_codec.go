package awswire

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
)

// jsonCodec is AWS JSON 1.0 or 1.1: the operation in a header, an object in, an
// object out, and the request id in a header alone.
type jsonCodec struct {
	version string                   // 1.0 or 1.1
	target  string                   // what X-Amz-Target begins with, without the dot
	missing func(name string) *Error // the error for a required member
}

func (c jsonCodec) parse(_ *Service, r *http.Request, body []byte) (call, error) {
	prefix, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if r.Method != http.MethodPost || prefix != c.target {
		return call{}, c.unknown(nil, operation)
	}
	object, err := parseJSON(body)
	if err != nil {
		return call{operation: operation}, err
	}
	return call{operation: operation, decode: func(a *action, in any) error {
		return jsonDecoder{c.missing}.structure(a.input, object, "", reflect.ValueOf(in).Elem())
	}}, nil
}

func (c jsonCodec) lacking(name string) *Error {
	e := c.missing(name) // of which the code is the service's for all invalid input
	e.Message = fmt.Sprintf("The parameter %s is not available in this region yet. Leave it out.", strings.ToLower(name[:1])+name[1:])
	return e
}

func (c jsonCodec) unknown(s *Service, operation string) *Error {
	if s != nil {
		if _, known := s.model.operations[operation]; known {
			return BadRequestf("UnknownOperationException", "The action %s is not available in this region yet.", operation)
		}
	}
	return BadRequestf("UnknownOperationException", "The service has no operation %.100q.", operation)
}

func (c jsonCodec) result(buf []byte, _ *Service, a *action, out any, _ string) ([]byte, error) {
	return appendJSON(buf, a.output, reflect.ValueOf(out).Elem()), nil
}

func (c jsonCodec) failure(_ *Service, e *Error, _ string) []byte { return jsonError(e) }

func (c jsonCodec) failureHeader(h http.Header, e *Error) { h.Set("X-Amzn-ErrorType", e.Code) }

func (c jsonCodec) contentType() string { return "application/x-amz-json-" + c.version }

// refusal answers in the words of the JSON services.
func (c jsonCodec) refusal(r refusal) *Error {
	code, message := "InvalidSignatureException", signatureMismatch
	switch r.reason {
	case refusedNoToken:
		code, message = "MissingAuthenticationTokenException", "Request is missing Authentication Token"
	case refusedIncomplete:
		code, message = "IncompleteSignatureException", "The request signature does not conform to AWS standards."
	case refusedKey:
		code, message = "UnrecognizedClientException", invalidToken
	case refusedToken:
		code, message = "ExpiredTokenException", expiredToken
	case refusedExpired:
		code, message = "RequestExpired", "Request has expired."
	case refusedScope:
		message = "Credential should be scoped to a valid region."
	case refusedPolicy:
		code = "AccessDeniedException"
	}
	return r.as(http.StatusBadRequest, code, message)
}
