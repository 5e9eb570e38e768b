package awswire

import (
	"encoding/json"
	"net/http"
	"reflect"
)

// restJSONCodec is REST-JSON: the operation is a path, and its input and output are
// the bodies. No service of the region has members in the path, the query or the
// headers.
type restJSONCodec struct {
	missing func(name string) *Error // the error for a required member
}

func (c restJSONCodec) parse(s *Service, r *http.Request, body []byte) (call, error) {
	operation := s.model.paths[r.URL.Path]
	if operation == "" || r.Method != http.MethodPost {
		return call{}, c.unknown(s, "")
	}
	object, err := parseJSON(body)
	if err != nil {
		return call{operation: operation}, err
	}
	return call{operation: operation, decode: func(a *action, in any) error {
		return jsonDecoder(c).structure(a.input, object, "", reflect.ValueOf(in).Elem())
	}}, nil
}

func (c restJSONCodec) lacking(name string) *Error {
	return jsonCodec{missing: c.missing}.lacking(name)
}

func (c restJSONCodec) unknown(_ *Service, operation string) *Error {
	if operation != "" {
		return BadRequestf("UnknownOperationException", "The action %s is not available in this region yet.", operation)
	}
	return Errorf(http.StatusNotFound, "UnknownOperationException", "The service has no operation with this method and path.")
}

func (c restJSONCodec) result(buf []byte, _ *Service, a *action, out any, _ string) ([]byte, error) {
	text, err := json.Marshal(jsonStructure(a.output, reflect.ValueOf(out).Elem()))
	return append(buf, text...), err
}

// failure has the message alone: the code is in the header.
func (c restJSONCodec) failure(_ *Service, e *Error, _ string) []byte {
	body, _ := json.Marshal(map[string]string{"message": e.Message}) // of texts, which always have JSON
	return body
}

func (c restJSONCodec) failureHeader(h http.Header, e *Error) { h.Set("X-Amzn-ErrorType", e.Code) }

func (c restJSONCodec) contentType() string { return "application/json" }

// refusal has the codes of the JSON services, and says with the status what it is.
func (c restJSONCodec) refusal(r refusal) *Error {
	e := jsonCodec{}.refusal(r)
	e.Status = http.StatusForbidden
	return e
}
