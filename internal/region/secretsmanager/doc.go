// Package secretsmanager holds the actions of AWS Secrets Manager. Values are
// sealed by the keyring, and bound to their secret and version. The package must
// not know what is in them.
package secretsmanager
