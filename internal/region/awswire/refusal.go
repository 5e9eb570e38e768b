package awswire

import "net/http"

// refusal says why a request was not authenticated; each protocol has its own
// codes for that.
type refusal struct {
	reason  refusalReason
	service string
	message string // instead of the usual text
}

type refusalReason int

const (
	accepted          refusalReason = iota
	refusedNoToken                  // nothing says who sent the request
	refusedIncomplete               // the Authorization header is not readable
	refusedKey                      // no such access key, or not with this session token
	refusedToken                    // temporary credentials that have expired
	refusedSignature                // the signature is wrong
	refusedTime                     // the clocks are too far apart
	refusedExpired                  // a presigned request is too old
	refusedScope                    // not a region
	refusedPolicy                   // the caller's policies do not allow the call
)

// Texts that several protocols share.
const (
	invalidToken      = "The security token included in the request is invalid."
	expiredToken      = "The security token included in the request is expired"
	signatureMismatch = "The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)

func incomplete(format string, args ...any) refusal {
	return refusal{reason: refusedIncomplete, message: BadRequestf("", format, args...).Message}
}

// refusal answers in the words of the AWS Query services.
func (c queryCodec) refusal(r refusal) *Error {
	switch r.reason {
	case refusedNoToken:
		return r.as(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
	case refusedIncomplete:
		return r.as(http.StatusBadRequest, "IncompleteSignature", "The request signature does not conform to AWS standards.")
	case refusedKey:
		return r.as(http.StatusForbidden, "InvalidClientTokenId", invalidToken)
	case refusedToken:
		return r.as(http.StatusForbidden, "ExpiredToken", expiredToken)
	case refusedPolicy:
		return r.as(http.StatusForbidden, "AccessDenied", "")
	case refusedExpired:
		return r.as(http.StatusBadRequest, "RequestExpired", "Request has expired.")
	case refusedScope:
		return r.as(http.StatusForbidden, "SignatureDoesNotMatch", "Credential should be scoped to a valid region.")
	}
	return r.as(http.StatusForbidden, "SignatureDoesNotMatch", signatureMismatch)
}

// refusal answers in the words of EC2.
func (c ec2Codec) refusal(r refusal) *Error {
	switch r.reason {
	case refusedTime, refusedExpired, refusedToken:
		return Errorf(http.StatusBadRequest, "RequestExpired", "Request has expired.")
	case refusedKey, refusedSignature, refusedScope:
		return Errorf(http.StatusUnauthorized, "AuthFailure", "AWS was not able to validate the provided access credentials")
	}
	if r.reason == refusedPolicy {
		return Errorf(http.StatusForbidden, "UnauthorizedOperation", "You are not authorized to perform this operation. %s", r.message)
	}
	return c.queryCodec.refusal(r)
}

func (r refusal) as(status int, code, message string) *Error {
	if r.message != "" {
		message = r.message
	}
	return &Error{Code: code, Status: status, Message: message}
}
