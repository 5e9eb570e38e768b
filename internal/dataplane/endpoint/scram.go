package endpoint

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Requests for authentication (PostgreSQL documentation, 55.7).
const (
	authOK           = 0
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12
)

const scramMechanism = "SCRAM-SHA-256"

// scramRecord is what a client has said when it proved to a server that it knows
// its password (RFC 5802). With the server's stored key, which the same password
// has on every server of the cluster, the client's key follows from it.
type scramRecord struct {
	asked       uint32 // the server's last request
	clientFirst string // without the header
	serverFirst string
	auth        string // AuthMessage, once it is complete
	proof       []byte
}

func (r *scramRecord) complete() bool { return len(r.proof) == sha256.Size }

// server notes a request for authentication.
func (r *scramRecord) server(body []byte) {
	if len(body) < 4 {
		return
	}
	r.asked = binary.BigEndian.Uint32(body)
	if r.asked == authSASLContinue {
		r.serverFirst = string(body[4:])
	}
}

// client notes the answer. One that is not part of SCRAM is not looked at: it may
// be a password.
func (r *scramRecord) client(body []byte) {
	switch r.asked {
	case authSASL:
		mechanism, rest, ok := bytes.Cut(body, []byte{0})
		if ok && string(mechanism) == scramMechanism && len(rest) > 4 {
			header := bytes.SplitN(rest[4:], []byte(","), 3)
			r.clientFirst = string(header[len(header)-1])
		}
	case authSASLContinue:
		r.final(string(body))
	}
}

func (r *scramRecord) final(message string) {
	i := strings.LastIndex(message, ",p=")
	if i < 0 || r.clientFirst == "" {
		return
	}
	proof, err := base64.StdEncoding.DecodeString(message[i+len(",p="):])
	if err != nil {
		return
	}
	r.auth, r.proof = r.clientFirst+","+r.serverFirst+","+message[:i], proof
	r.clientFirst, r.serverFirst = "", ""
}

// scramKeys are the keys of a password as a server stores them.
type scramKeys struct{ stored, server []byte }

// errVerifier does not show what it is about.
var errVerifier = errors.New("the role's password is not stored for " + scramMechanism)

// parseVerifier reads SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey.
func parseVerifier(verifier string) (scramKeys, error) {
	parts := strings.Split(verifier, "$")
	if len(parts) != 3 || parts[0] != scramMechanism {
		return scramKeys{}, errVerifier
	}
	stored, server, ok := strings.Cut(parts[2], ":")
	if !ok {
		return scramKeys{}, errVerifier
	}
	var k scramKeys
	var err1, err2 error
	k.stored, err1 = base64.StdEncoding.DecodeString(stored)
	k.server, err2 = base64.StdEncoding.DecodeString(server)
	if err1 != nil || err2 != nil || len(k.stored) != sha256.Size || len(k.server) != sha256.Size {
		return scramKeys{}, errVerifier
	}
	return k, nil
}

// clientKey finds the key that the client made its proof with. False: the
// password is another one by now.
func (r *scramRecord) clientKey(k scramKeys) ([]byte, bool) {
	if !r.complete() {
		return nil, false
	}
	key := make([]byte, sha256.Size)
	subtle.XORBytes(key, r.proof, sign(k.stored, r.auth))
	stored := sha256.Sum256(key)
	return key, hmac.Equal(stored[:], k.stored)
}

func sign(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

// authenticate logs in at a server that has begun to answer, with the client's key
// instead of the password.
func (l *link) authenticate(k scramKeys, clientKey []byte) error {
	offer, err := l.nextAuth(authSASL)
	if err != nil {
		return err
	}
	if !strings.Contains(offer, scramMechanism+"\x00") {
		return fmt.Errorf("the server does not offer %s", scramMechanism)
	}
	nonce := rand.Text()
	first := "n=,r=" + nonce
	if err := l.sayAuth(scramMechanism + "\x00" + lengthOf("n,,"+first) + "n,," + first); err != nil {
		return err
	}
	challenge, err := l.nextAuth(authSASLContinue)
	if err != nil {
		return err
	}
	serverNonce, _, _ := strings.Cut(strings.TrimPrefix(challenge, "r="), ",")
	if !strings.HasPrefix(serverNonce, nonce) {
		return errors.New("the server's nonce does not go on from ours")
	}
	final := "c=biws,r=" + serverNonce
	auth := first + "," + challenge + "," + final
	proof := make([]byte, sha256.Size)
	subtle.XORBytes(proof, clientKey, sign(k.stored, auth))
	if err := l.sayAuth(final + ",p=" + base64.StdEncoding.EncodeToString(proof)); err != nil {
		return err
	}
	verdict, err := l.nextAuth(authSASLFinal)
	if err != nil {
		return err
	}
	if verdict != "v="+base64.StdEncoding.EncodeToString(sign(k.server, auth)) {
		return errors.New("the server does not know the role's password")
	}
	_, err = l.nextAuth(authOK)
	return err
}

func lengthOf(s string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
}

// nextAuth waits for a request for authentication of this kind.
func (l *link) nextAuth(kind uint32) (string, error) {
	typ, body, err := l.answer()
	if err != nil {
		return "", err
	}
	if typ != 'R' || len(body) < 4 || binary.BigEndian.Uint32(body) != kind {
		return "", fmt.Errorf("unexpected message %q while logging in", typ)
	}
	return string(body[4:]), nil
}

func (l *link) sayAuth(body string) error {
	m := binary.BigEndian.AppendUint32([]byte{'p'}, uint32(4+len(body)))
	_, err := l.conn.Write(append(m, body...))
	return err
}
