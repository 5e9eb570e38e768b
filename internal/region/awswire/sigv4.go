package awswire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	isoBasic  = "20060102T150405Z"
	// maxSkew is how far a client's clock may be off.
	maxSkew = 5 * time.Minute
	// maxPresign is the longest life of a presigned request.
	maxPresign = 7 * 24 * time.Hour
)

// signature is what a request says about who signed it and how.
type signature struct {
	accessKeyID   string
	date          string // of the scope, yyyymmdd
	region        string
	service       string
	signedHeaders []string
	signature     string
	timestamp     string // ISO 8601 basic, as sent
	token         string // session token
	presigned     bool
	expires       time.Duration
}

// scope is the credential scope below the access key id.
func (s *signature) scope() string {
	return strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
}

// parseSignature reads the Authorization header or the query of a presigned
// request. It verifies nothing.
func parseSignature(r *http.Request) (*signature, refusal) {
	query := r.URL.Query()
	switch authorization := r.Header.Get("Authorization"); {
	case authorization != "":
		return parseAuthorization(authorization, r.Header)
	case query.Get("X-Amz-Algorithm") != "" || query.Get("X-Amz-Signature") != "":
		return parsePresigned(query)
	}
	return nil, refusal{reason: refusedNoToken}
}

func parseAuthorization(value string, header http.Header) (*signature, refusal) {
	rest, ok := strings.CutPrefix(value, algorithm+" ")
	if !ok {
		return nil, incomplete("The Authorization header must use %s.", algorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		key, val, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, incomplete("The Authorization header has a part that is not a valid key=value pair (missing equal-sign).")
		}
		parts[key] = val
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if parts[name] == "" {
			return nil, incomplete("Authorization header requires '%s' parameter.", name)
		}
	}
	s := &signature{
		signedHeaders: strings.Split(parts["SignedHeaders"], ";"),
		signature:     parts["Signature"],
		timestamp:     header.Get("X-Amz-Date"),
		token:         header.Get("X-Amz-Security-Token"),
	}
	if s.timestamp == "" {
		if t, err := http.ParseTime(header.Get("Date")); err == nil {
			s.timestamp = t.UTC().Format(isoBasic)
		}
	}
	return s.complete(parts["Credential"])
}

func parsePresigned(query url.Values) (*signature, refusal) {
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
		if query.Get(name) == "" {
			return nil, incomplete("AWS query-string parameters must include '%s'.", name)
		}
	}
	if query.Get("X-Amz-Algorithm") != algorithm {
		return nil, incomplete("X-Amz-Algorithm must be %s.", algorithm)
	}
	seconds := 15 * 60
	if text := query.Get("X-Amz-Expires"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > int(maxPresign/time.Second) {
			return nil, incomplete("X-Amz-Expires must be a number of seconds up to %d.", int(maxPresign/time.Second))
		}
		seconds = n
	}
	s := &signature{
		signedHeaders: strings.Split(query.Get("X-Amz-SignedHeaders"), ";"),
		signature:     query.Get("X-Amz-Signature"),
		timestamp:     query.Get("X-Amz-Date"),
		token:         query.Get("X-Amz-Security-Token"),
		presigned:     true,
		expires:       time.Duration(seconds) * time.Second,
	}
	return s.complete(query.Get("X-Amz-Credential"))
}

// complete takes the credential apart and checks the form of the rest.
func (s *signature) complete(credential string) (*signature, refusal) {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[0] == "" || parts[4] != "aws4_request" {
		return nil, incomplete("Credential must have exactly 5 slash-delimited elements, " +
			"e.g. keyid/date/region/service/aws4_request.")
	}
	s.accessKeyID, s.date, s.region, s.service = parts[0], parts[1], parts[2], parts[3]
	if _, err := time.Parse(isoBasic, s.timestamp); err != nil {
		return nil, incomplete("The request needs a date: a valid 'X-Amz-Date' or a 'Date' header.")
	}
	if !strings.HasPrefix(s.timestamp, s.date) || len(s.date) != 8 {
		return nil, refusal{reason: refusedSignature, service: s.service,
			message: "Date in Credential scope does not match the date of the request."}
	}
	if !slices.Contains(s.signedHeaders, "host") {
		return nil, refusal{reason: refusedSignature, service: s.service,
			message: "'Host' must be a 'SignedHeader' in the AWS Authorization."}
	}
	return s, refusal{}
}

// verify checks time and signature against a secret.
func (s *signature) verify(r *http.Request, body []byte, secret string, now time.Time) refusal {
	if ref := s.checkTime(now); ref.reason != accepted {
		return ref
	}
	if !s.covers(r.URL.RawQuery) {
		return refusal{reason: refusedSignature, service: s.service}
	}
	bodyHash := sha256.Sum256(body)
	payload := hex.EncodeToString(bodyHash[:])
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && !s.presigned && claimed != payload {
		return refusal{reason: refusedSignature, service: s.service}
	}
	canonical := sha256.Sum256([]byte(s.canonicalRequest(r, payload)))
	text := strings.Join([]string{algorithm, s.timestamp, s.scope(), hex.EncodeToString(canonical[:])}, "\n")
	want := hex.EncodeToString(mac(signingKey(secret, s.date, s.region, s.service), text))
	if !hmac.Equal([]byte(want), []byte(s.signature)) {
		return refusal{reason: refusedSignature, service: s.service}
	}
	return refusal{}
}

// covers says that all of a query is signed. url.Values leaves out pairs that cannot
// be decoded or have a semicolon, and a second signature is no part of what is
// signed: who reads the query otherwise would find what the signer has not sent.
func (s *signature) covers(query string) bool {
	values, err := url.ParseQuery(query)
	return err == nil && (!s.presigned || len(values["X-Amz-Signature"]) == 1)
}

func (s *signature) checkTime(now time.Time) refusal {
	signed, err := time.Parse(isoBasic, s.timestamp)
	if err != nil {
		return incomplete("The date of the request is not valid.")
	}
	earliest, latest := signed.Add(-maxSkew), signed.Add(maxSkew)
	if s.presigned {
		latest = signed.Add(s.expires)
	}
	switch {
	case now.Before(earliest):
		return refusal{reason: refusedTime, service: s.service, message: "Signature not yet current: " +
			s.timestamp + " is still later than " + now.Add(maxSkew).UTC().Format(isoBasic) + " (" + now.UTC().Format(isoBasic) + " + 5 min.)"}
	case now.After(latest) && s.presigned:
		return refusal{reason: refusedExpired, service: s.service}
	case now.After(latest):
		return refusal{reason: refusedTime, service: s.service, message: "Signature expired: " +
			s.timestamp + " is now earlier than " + now.Add(-maxSkew).UTC().Format(isoBasic) + " (" + now.UTC().Format(isoBasic) + " - 5 min.)"}
	}
	return refusal{}
}

func (s *signature) canonicalRequest(r *http.Request, payload string) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r.URL) + "\n" + s.canonicalQuery(r.URL.Query()) + "\n")
	for _, name := range s.signedHeaders {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(s.signedHeaders, ";") + "\n" + payload)
	return b.String()
}

// canonicalPath encodes the path once more, as all services but S3 want it.
func canonicalPath(u *url.URL) string {
	segments := strings.Split(u.EscapedPath(), "/")
	for i, segment := range segments {
		segments[i] = percentEncode(segment)
	}
	if path := strings.Join(segments, "/"); path != "" {
		return path
	}
	return "/"
}

func (s *signature) canonicalQuery(query url.Values) string {
	var pairs []string
	for key, values := range query {
		if s.presigned && key == "X-Amz-Signature" {
			continue
		}
		for _, value := range values {
			pairs = append(pairs, percentEncode(key)+"="+percentEncode(value))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// headerValue is a header as it is signed. net/http keeps Host and, sometimes,
// Content-Length apart from the others.
func headerValue(r *http.Request, name string) string {
	if name == "host" {
		return r.Host
	}
	values := r.Header.Values(name)
	if len(values) == 0 && name == "content-length" && r.ContentLength >= 0 {
		return strconv.FormatInt(r.ContentLength, 10)
	}
	trimmed := make([]string, len(values))
	for i, value := range values {
		trimmed[i] = strings.Join(strings.Fields(value), " ")
	}
	return strings.Join(trimmed, ",")
}

// percentEncode encodes all but the unreserved characters of RFC 3986.
func percentEncode(text string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

func signingKey(secret, date, region, service string) []byte {
	key := mac([]byte("AWS4"+secret), date)
	key = mac(key, region)
	key = mac(key, service)
	return mac(key, "aws4_request")
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
