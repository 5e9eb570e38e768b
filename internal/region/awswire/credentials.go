package awswire

import "time"

// Credential is an access key and whom it stands for.
type Credential struct {
	AccessKeyID     string
	SecretAccessKey string
	Account         string // 12 digits
	UserARN         string // arn:aws:iam::111122223333:root, or a user's or role's
	UserID          string // as GetCallerIdentity answers; the account if empty
	// Expires ends temporary credentials; zero is never.
	Expires time.Time
	// Principal is the store's own; Authorize finds it in the call's Identity.
	Principal any
}

// CredentialStore finds credentials by access key id and the session token that
// temporary ones must come with. The token is empty if the request has none.
type CredentialStore interface {
	Credential(accessKeyID, sessionToken string) (Credential, bool)
}

// StaticCredentials is a fixed list.
type StaticCredentials []Credential

// Credential implements CredentialStore.
func (s StaticCredentials) Credential(accessKeyID, sessionToken string) (Credential, bool) {
	for _, c := range s {
		if c.AccessKeyID == accessKeyID && sessionToken == "" {
			return c, true
		}
	}
	return Credential{}, false
}
