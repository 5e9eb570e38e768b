package awswire

// Credential is an access key and whom it stands for.
type Credential struct {
	AccessKeyID     string
	SecretAccessKey string
	Account         string // 12 digits
	UserARN         string // arn:aws:iam::111122223333:root, or a user's or role's
	UserID          string // as GetCallerIdentity answers; the account if empty
}

// CredentialStore finds credentials by access key id.
type CredentialStore interface {
	Credential(accessKeyID string) (Credential, bool)
}

// StaticCredentials is a fixed list.
type StaticCredentials []Credential

// Credential implements CredentialStore.
func (s StaticCredentials) Credential(accessKeyID string) (Credential, bool) {
	for _, c := range s {
		if c.AccessKeyID == accessKeyID {
			return c, true
		}
	}
	return Credential{}, false
}
