// Package awswire is everything of the AWS API that is not the meaning of an
// action: SigV4 verification, the protocols' requests, answers and error
// envelopes, pagination, request ids, metrics.
//
// A service package makes a Service (RDS, EC2, KMS), registers functions on the
// request and response types of aws-sdk-go-v2 with Register, and returns errors
// made by Errorf. It sees neither HTTP nor XML nor JSON. This package must not know what
// any action does.
package awswire
