package endpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Numbers of the first packet (PostgreSQL documentation, 55.7).
const (
	protocolMajor = 3
	codeCancel    = 1234<<16 | 5678
	codeTLS       = 1234<<16 | 5679
	codeGSS       = 1234<<16 | 5680

	maxStartupBytes = 10000
	cancelKeyBytes  = 4
)

// errGone says that the client left before it asked for anything.
var errGone = errors.New("client left")

// packet is a first packet: a length and a number, then what the number says.
type packet struct {
	code uint32
	body []byte
}

// readPacket reads exactly one packet: what a client sends after a request for
// TLS must not be taken from before TLS.
func readPacket(r io.Reader) (packet, error) {
	var head [8]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		if n == 0 {
			return packet{}, errGone
		}
		return packet{}, err
	}
	length := binary.BigEndian.Uint32(head[:4])
	if length < 8 || length > maxStartupBytes {
		return packet{}, protocolError("invalid length of startup packet")
	}
	p := packet{code: binary.BigEndian.Uint32(head[4:]), body: make([]byte, length-8)}
	_, err := io.ReadFull(r, p.body)
	return p, err
}

// startup is what a client asks for when it connects.
type startup struct {
	version  uint32
	settings []setting
}

type setting struct{ name, value string }

// parseStartup reads a startup packet as strictly as PostgreSQL does.
func parseStartup(p packet) (startup, error) {
	s := startup{version: p.code}
	if p.code>>16 != protocolMajor {
		return s, &refusal{codeUnsupported, fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0", p.code>>16, p.code&0xffff), ""}
	}
	rest := p.body
	for {
		name, after, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return s, errLayout()
		}
		if len(name) == 0 {
			if len(after) != 0 {
				return s, errLayout()
			}
			break
		}
		value, after, ok := bytes.Cut(after, []byte{0})
		if !ok {
			return s, errLayout()
		}
		s.settings = append(s.settings, setting{string(name), string(value)})
		rest = after
	}
	return s, s.check()
}

func errLayout() error {
	return protocolError("invalid startup packet layout: expected terminator as last byte")
}

// check refuses what no client of an endpoint may ask for.
func (s startup) check() error {
	if s.get("user") == "" {
		return &refusal{codeInvalidAuthorization, "no PostgreSQL user name specified in startup packet", ""}
	}
	for _, p := range s.settings {
		switch p.name {
		case "user":
			if internalRole(p.value) {
				return &refusal{codeInvalidAuthorization, fmt.Sprintf("role %q is reserved for the service", p.value), ""}
			}
		case "replication":
			if !isFalse(p.value) {
				return &refusal{codeUnsupported, "replication connections are not supported by this endpoint", ""}
			}
		}
	}
	return nil
}

// internalRole says whether a role is Daybreak's own.
func internalRole(name string) bool {
	return strings.HasPrefix(name, "rdsadmin") || name == "rdsrepladmin"
}

func isFalse(value string) bool {
	switch strings.ToLower(value) {
	case "false", "off", "no", "0":
		return true
	}
	return false
}

// get returns a setting; as for PostgreSQL, the last one counts.
func (s startup) get(name string) string {
	value := ""
	for _, p := range s.settings {
		if p.name == name {
			value = p.value
		}
	}
	return value
}

func (s startup) database() string {
	if db := s.get("database"); db != "" {
		return db
	}
	return s.get("user")
}

// encode writes the packet anew, so that the backend reads exactly what was
// checked.
func (s startup) encode() []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4, 256), s.version)
	for _, p := range s.settings {
		b = append(append(b, p.name...), 0)
		b = append(append(b, p.value...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// cancelKey names a session in a cancel request.
type cancelKey struct{ pid, secret uint32 }

func parseCancel(p packet) (cancelKey, error) {
	if len(p.body) != 4+cancelKeyBytes {
		return cancelKey{}, protocolError("invalid length of cancel request")
	}
	return cancelKey{binary.BigEndian.Uint32(p.body), binary.BigEndian.Uint32(p.body[4:])}, nil
}

func (k cancelKey) encode() []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 16), 16)
	b = binary.BigEndian.AppendUint32(b, codeCancel)
	b = binary.BigEndian.AppendUint32(b, k.pid)
	return binary.BigEndian.AppendUint32(b, k.secret)
}
