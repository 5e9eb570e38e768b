package awswire

import (
	"net/http"
	"reflect"
)

// queryCodec is the AWS Query protocol: a form in, XML out.
type queryCodec struct {
	missing        func(name string) *Error // the error for a required member
	blankIsMissing bool                     // an empty required member is missing
	// unrecognized is the error for a parameter that the operation does not have.
	// Without it such parameters are left out, as most services do.
	unrecognized func(name string) *Error
}

func (c queryCodec) parse(s *Service, r *http.Request, body []byte) (call, error) {
	form, err := parseForm(r, body)
	if err != nil {
		return call{}, err
	}
	operation := form.scalar("Action")
	if operation == "" {
		return call{}, BadRequestf("MissingAction", "The request must contain the parameter Action")
	}
	if version := form.scalar("Version"); version != s.version {
		if version == "" {
			version = "NO_VERSION_SPECIFIED"
		}
		return call{operation: operation}, noOperation(operation, version)
	}
	return call{operation: operation, decode: func(a *action, in any) error {
		form.withoutEnvelope()
		return queryDecoder{c}.structure(a.input, form, "", reflect.ValueOf(in).Elem())
	}}, nil
}

func (c queryCodec) invalid(path, value, want string) *Error {
	return BadRequestf("MalformedInput", "The value '%.100s' of the parameter %s is not a valid %s.", value, path, want)
}

func (c queryCodec) lacking(name string) *Error {
	return InvalidParameterCombination("The parameter %s is not available in this region yet. Leave it out.", name)
}

func (c queryCodec) unknown(s *Service, operation string) *Error {
	if _, known := s.model.operations[operation]; known {
		return BadRequestf("InvalidAction", "The action %s is not available in this region yet.", operation)
	}
	return noOperation(operation, s.version)
}

func noOperation(operation, version string) *Error {
	return BadRequestf("InvalidAction", "Could not find operation %.100s for version %.30s", operation, version)
}

func (c queryCodec) result(buf []byte, s *Service, a *action, out any, requestID string) ([]byte, error) {
	x := xmlWriter{buf}
	x.open(a.operation+"Response", s.namespace)
	if result := s.model.operations[a.operation]; result != "" {
		x.open(result, "")
		x.output(a.output, reflect.ValueOf(out).Elem())
		x.close(result)
	}
	x.open("ResponseMetadata", "")
	x.text("RequestId", requestID)
	x.close("ResponseMetadata")
	x.close(a.operation + "Response")
	return x.buf, nil
}

func (c queryCodec) failure(s *Service, e *Error, requestID string) []byte {
	namespace := "http://webservices.amazon.com/AWSFault/2005-15-09" // what AWS answers when it knows no service
	if s != nil {
		namespace = s.namespace
	}
	var x xmlWriter
	x.open("ErrorResponse", namespace)
	x.open("Error", "")
	x.text("Type", e.fault())
	x.text("Code", e.Code)
	x.text("Message", e.Message)
	x.close("Error")
	x.text("RequestId", requestID)
	x.close("ErrorResponse")
	return x.buf
}

func (c queryCodec) failureHeader(http.Header, *Error) {}

func (c queryCodec) contentType() string { return "text/xml;charset=UTF-8" }

// ec2Codec is the EC2 Query protocol: AWS Query with flat lists, no result
// element and an error envelope of its own.
type ec2Codec struct{ queryCodec }

func (c ec2Codec) lacking(name string) *Error {
	return BadRequestf("UnsupportedOperation", "The parameter %s is not supported in this region yet. Leave it out.", name)
}

func (c ec2Codec) unknown(_ *Service, operation string) *Error {
	return BadRequestf("InvalidAction", "The action %.100s is not valid for this web service.", operation)
}

func (c ec2Codec) result(buf []byte, s *Service, a *action, out any, requestID string) ([]byte, error) {
	x := xmlWriter{buf}
	x.open(a.operation+"Response", s.namespace)
	x.text("requestId", requestID)
	x.output(a.output, reflect.ValueOf(out).Elem())
	if len(a.output.fields) == 0 {
		x.text("return", "true")
	}
	x.close(a.operation + "Response")
	return x.buf, nil
}

func (c ec2Codec) failure(_ *Service, e *Error, requestID string) []byte {
	var x xmlWriter
	x.open("Response", "")
	x.open("Errors", "")
	x.open("Error", "")
	x.text("Code", e.Code)
	x.text("Message", e.Message)
	x.close("Error")
	x.close("Errors")
	x.text("RequestID", requestID)
	x.close("Response")
	return x.buf
}
