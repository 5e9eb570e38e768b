package endpoint

import "encoding/binary"

// SQLSTATEs that endpoints answer with (PostgreSQL documentation, appendix A).
const (
	codeConnectionFailure    = "08006"
	codeUnknownOutcome       = "08007"
	codeProtocolViolation    = "08P01"
	codeUnsupported          = "0A000"
	codeInvalidAuthorization = "28000"
	codeWrongPassword        = "28P01"
	codeTooManyConnections   = "53300"
	codeAdminShutdown        = "57P01"
	codeCannotConnectNow     = "57P03"
)

// refusal is a fatal error for the client, in PostgreSQL's form.
type refusal struct {
	code    string
	message string
	hint    string
}

func (r *refusal) Error() string { return r.message }

func protocolError(message string) error { return &refusal{codeProtocolViolation, message, ""} }

// encode writes an ErrorResponse that ends the session.
func (r *refusal) encode() []byte { return r.encodeAs("FATAL") }

// encodeAs writes an ErrorResponse of a severity.
func (r *refusal) encodeAs(severity string) []byte {
	b := append(make([]byte, 0, 128), 'E', 0, 0, 0, 0)
	field := func(kind byte, text string) {
		if text != "" {
			b = append(append(append(b, kind), text...), 0)
		}
	}
	field('S', severity)
	field('V', severity)
	field('C', r.code)
	field('M', r.message)
	field('H', r.hint)
	b = append(b, 0)
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
	return b
}

// sqlState finds the code in the body of an ErrorResponse.
func sqlState(body []byte) string { return responseField(body, 'C') }

// responseField finds a field in the body of an ErrorResponse or NoticeResponse.
func responseField(body []byte, kind byte) string {
	for len(body) > 0 && body[0] != 0 {
		end := 1
		for end < len(body) && body[end] != 0 {
			end++
		}
		if body[0] == kind {
			return string(body[1:end])
		}
		body = body[min(end+1, len(body)):]
	}
	return ""
}
