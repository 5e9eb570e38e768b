// Package kms holds the actions of AWS KMS for symmetric keys, and finds keys for
// the services that name one. Key material is sealed by the keyring and leaves
// this package only as what was encrypted with it. It must not know what its
// keys are used for.
package kms
