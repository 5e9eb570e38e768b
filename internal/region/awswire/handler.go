package awswire

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// defaultMaxBody is the largest request that most services read.
const defaultMaxBody = 1 << 20

// Config is what a handler needs.
type Config struct {
	Services    []*Service
	Credentials CredentialStore
	Logger      *slog.Logger
	Registry    prometheus.Registerer
	// Translate may turn an error of an action that is no *Error into one, as
	// when a store does not answer. It may be nil.
	Translate func(error) *Error
	// Authorize says why a call is not allowed; nothing if it is. If it is nil,
	// whoever has credentials may do everything.
	Authorize func(ctx context.Context, c Call) (denied string, err error)
	// Requests is how often each principal may call, and Failures how often an address
	// may come with wrong signatures of an access key. Beyond these answers are Throttling.
	Requests, Failures Rate
	// Now is the clock that signatures are compared with; time.Now if nil.
	Now func() time.Time
}

// Handler serves many services and regions at one address: which of them a
// request is for stands in its credential scope.
type Handler struct {
	Config
	services map[string]*Service
	metrics  *metrics
	region   *regexp.Regexp
	requests *limiter // by the principal's ARN
	failures *limiter // by the address and the access key
	// compressors are *compressor, buffers *[]byte: what an answer needs only until
	// it is sent.
	compressors, buffers sync.Pool
}

// NewHandler returns the handler of some services.
func NewHandler(cfg Config) (*Handler, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, err
	}
	h := &Handler{
		Config: cfg, services: map[string]*Service{}, metrics: m,
		requests: newLimiter(cfg.Requests), failures: newLimiter(cfg.Failures),
		region: regexp.MustCompile(`^[a-z]{2,16}(-[a-z]{1,16}){0,3}-[0-9]{1,2}$`),
	}
	for _, s := range cfg.Services {
		h.services[s.name] = s
	}
	return h, nil
}

// exchange is one request on its way to its answer.
type exchange struct {
	request   *http.Request
	id        Identity
	service   *Service // nil until it is known
	codec     codec
	operation string
	known     bool   // AWS has this operation
	unsigned  string // the operation that may be called without a signature
	status    int
	code      string // OK, or the error's
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := &exchange{request: r, codec: fallbackCodec(r), id: Identity{RequestID: newRequestID()}}
	buf := h.buffer()
	defer h.buffers.Put(buf)
	body, err := h.serve(w, x, (*buf)[:0])
	x.status, x.code = http.StatusOK, "OK"
	if err == nil {
		*buf = body // which may have grown
	} else {
		e := h.wireError(x, err)
		x.status, x.code = e.Status, e.Code
		body = x.codec.failure(x.service, e, x.id.RequestID)
		x.codec.failureHeader(w.Header(), e)
	}
	w.Header().Set("X-Amzn-RequestId", x.id.RequestID)
	w.Header().Set("Content-Type", x.codec.contentType())
	h.write(w, x, body)
	h.account(x, time.Since(start))
}

// serve carries the request out and appends the body of its answer to buf. A panic
// is an error of this request only.
func (h *Handler) serve(w http.ResponseWriter, x *exchange, buf []byte) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.Logger.Error("aws api: panic", "request", x.id.RequestID, "action", x.operation,
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	s, ref := parseSignature(x.request)
	body, err := h.read(w, x, s, ref)
	if err != nil {
		return nil, err
	}
	if err := h.admit(x, s, ref, body); err != nil {
		return nil, err
	}
	if x.service == nil {
		return nil, BadRequestf("InvalidAction", "This region does not have the service that the request is signed for. It has: %s.",
			strings.Join(slices.Sorted(maps.Keys(h.services)), ", "))
	}
	c, err := x.codec.parse(x.service, x.request, body)
	x.operation = c.operation
	if err == nil && x.unsigned != "" && c.operation != x.unsigned {
		return nil, x.codec.refusal(refusal{reason: refusedNoToken})
	}
	_, x.known = x.service.model.operations[c.operation]
	if err != nil {
		return nil, err
	}
	a := x.service.actions[c.operation]
	if why, ok := x.service.refused[c.operation]; ok {
		return nil, BadRequestf("UnsupportedOperation", "The operation %s is not supported in this region: %s.", c.operation, why)
	}
	if a == nil {
		return nil, x.codec.unknown(x.service, c.operation)
	}
	in := a.newInput()
	if err := c.decode(a, in); err != nil {
		return nil, err
	}
	ctx := WithIdentity(x.request.Context(), x.id)
	if err := h.authorize(ctx, x, in); err != nil {
		return nil, err
	}
	if err := a.refuseLacking(x.codec, in); err != nil {
		return nil, err
	}
	out, err := a.call(ctx, in)
	if err != nil {
		return nil, err
	}
	return x.codec.result(buf, x.service, a, out, x.id.RequestID)
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return Errorf(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request is larger than %d bytes.", tooLarge.Limit)
	}
	return malformed("The request's body could not be read.")
}

// read finds out which service the request is for, and reads as much as that one
// takes.
func (h *Handler) read(w http.ResponseWriter, x *exchange, s *signature, ref refusal) ([]byte, error) {
	service, limit := ref.service, int64(defaultMaxBody)
	if s != nil {
		service = s.service
	}
	if x.service = h.services[service]; service == "" && ref.reason == refusedNoToken {
		x.service = h.anonymous(x)
	}
	if x.service != nil {
		x.codec, limit = x.service.codec, x.service.maxBody
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, x.request.Body, limit))
	if err != nil {
		return nil, bodyError(err)
	}
	return body, nil
}

// anonymous finds the service that lets a request without a signature in, by the
// operation in its query.
func (h *Handler) anonymous(x *exchange) *Service {
	operation := x.request.URL.Query().Get("Action")
	for _, s := range h.services {
		if s.anonymous[operation] && x.request.Method == http.MethodGet {
			x.unsigned = operation
			return s
		}
	}
	return nil
}

// admit verifies who sent the request, and that they do not send too many.
func (h *Handler) admit(x *exchange, s *signature, ref refusal, body []byte) error {
	who, _, _ := net.SplitHostPort(x.request.RemoteAddr)
	if s != nil {
		who += " " + s.accessKeyID // so that nobody is held for what others at an address do
	}
	if !h.failures.any(who, h.Now()) {
		return errThrottled()
	}
	if err := h.authenticate(x, s, ref, body); err != nil {
		h.failures.take(who, h.Now())
		return err
	}
	if x.unsigned == "" && !h.requests.take(x.id.ARN, h.Now()) {
		return errThrottled()
	}
	return nil
}

// errThrottled is what SDKs wait and try again after.
func errThrottled() *Error { return BadRequestf("Throttling", "Rate exceeded") }

// authenticate verifies who sent the request.
func (h *Handler) authenticate(x *exchange, s *signature, ref refusal, body []byte) error {
	if x.unsigned != "" {
		return nil
	}
	if ref.reason != accepted {
		return x.codec.refusal(ref)
	}
	credential, ok := h.Credentials.Credential(s.accessKeyID, s.token)
	if !ok {
		return x.codec.refusal(refusal{reason: refusedKey})
	}
	if ref := s.verify(x.request, body, credential.SecretAccessKey, h.Now()); ref.reason != accepted {
		return x.codec.refusal(ref)
	}
	if !credential.Expires.IsZero() && !h.Now().Before(credential.Expires) {
		return x.codec.refusal(refusal{reason: refusedToken})
	}
	if !h.region.MatchString(s.region) {
		return x.codec.refusal(refusal{reason: refusedScope})
	}
	x.id.Account, x.id.Region = credential.Account, s.region
	x.id.AccessKeyID, x.id.ARN, x.id.UserID = credential.AccessKeyID, credential.UserARN, credential.UserID
	x.id.Principal = credential.Principal
	x.id.SourceIP, _, _ = net.SplitHostPort(x.request.RemoteAddr)
	if x.id.UserID == "" {
		x.id.UserID = credential.Account
	}
	return nil
}

// Invoke has a service do something for the caller of another one, ctx's, if that
// caller may have it done. The input is that of an action of the service.
func (h *Handler) Invoke(ctx context.Context, service string, in any) (any, error) {
	s := h.services[service]
	operation := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input")
	if s == nil || s.actions[operation] == nil {
		return nil, fmt.Errorf("the region has no %s of %s", operation, service)
	}
	x := &exchange{id: IdentityFrom(ctx), service: s, codec: s.codec, operation: operation}
	if err := h.authorize(ctx, x, in); err != nil {
		return nil, err
	}
	return s.actions[operation].call(ctx, in)
}

// Call is what Authorize decides on.
type Call struct {
	Identity
	Service   string
	Operation string
	// Resources are the ARNs that the call is about; "*" where it is about none.
	Resources func() []string
	// Policy is that of one of the resources.
	Policy func(arn string) (ResourcePolicy, error)
}

func (h *Handler) authorize(ctx context.Context, x *exchange, in any) error {
	if h.Authorize == nil || x.unsigned != "" {
		return nil
	}
	c := Call{Identity: x.id, Service: x.service.name, Operation: x.operation, Resources: func() []string {
		if x.service.resources == nil {
			return []string{"*"}
		}
		if arns := x.service.resources(ctx, in); len(arns) > 0 {
			return arns
		}
		return []string{"*"}
	}, Policy: func(arn string) (ResourcePolicy, error) {
		if x.service.policies == nil {
			return ResourcePolicy{}, nil
		}
		return x.service.policies(ctx, arn)
	}}
	denied, err := h.Authorize(ctx, c)
	if err == nil && denied != "" {
		return x.codec.refusal(refusal{reason: refusedPolicy, message: denied})
	}
	return err
}

var errPanic = errors.New("panic")

// wireError is the answer to an error. What no client can understand is logged
// here and called InternalFailure.
func (h *Handler) wireError(x *exchange, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if h.Translate != nil {
		if e := h.Translate(err); e != nil {
			return e
		}
	}
	if x.request.Context().Err() != nil {
		return Errorf(http.StatusRequestTimeout, "RequestTimeout", "The client went away before the answer.")
	}
	if !errors.Is(err, errPanic) {
		h.Logger.Error("aws api: internal failure", "request", x.id.RequestID, "action", x.operation, "error", err)
	}
	return Errorf(http.StatusInternalServerError, "InternalFailure",
		"The request processing has failed because of an unknown error. The server's log has it under request %s.", x.id.RequestID)
}

// account counts the answer and writes the access log.
func (h *Handler) account(x *exchange, took time.Duration) {
	service, operation := "unknown", "unknown"
	if x.service != nil {
		service = x.service.name
	}
	if x.known {
		operation = x.operation
	}
	h.metrics.observe(service, operation, x.code, took)
	h.Logger.Debug("aws api", "request", x.id.RequestID, "service", service, "action", operation, "region", x.id.Region,
		"account", x.id.Account, "key", x.id.AccessKeyID, "status", x.status, "code", x.code, "took", took)
}

// newRequestID is a random UUID.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
