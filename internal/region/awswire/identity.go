package awswire

import "context"

// Identity says who sent a request and to which region.
type Identity struct {
	Account     string // 12 digits
	Region      string // from the credential scope
	AccessKeyID string
	ARN         string // of the caller
	UserID      string
	RequestID   string // also in the answer and in the log
	Principal   any    // of the credential
	SourceIP    string // that the request came from
}

type identityKey struct{}

// WithIdentity returns a context in which IdentityFrom answers id.
func WithIdentity(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// IdentityFrom returns the identity of the request that ctx belongs to. It is
// the zero Identity outside of a request.
func IdentityFrom(ctx context.Context) Identity {
	id, _ := ctx.Value(identityKey{}).(Identity)
	return id
}
