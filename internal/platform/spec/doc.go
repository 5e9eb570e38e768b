// Package spec reads a service plan (spec.yaml, in Omnistrate's plan format) and
// the values that a customer gives for its parameters. Every problem of a
// document, or of a set of values, comes back in one error. The package is pure:
// it knows text, not files, Terraform or deployments.
package spec
