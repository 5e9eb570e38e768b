package awswire

import (
	"net/http"
	"strings"
)

// RDS returns the Amazon RDS service without actions.
func RDS() *Service {
	return newService("rds", "2014-10-31", "http://rds.amazonaws.com/doc/2014-10-31/", queryCodec{
		blankIsMissing: true,
		missing: func(name string) *Error {
			return InvalidParameterValue("The parameter %s must be provided and must not be blank.", name)
		},
	})
}

// KMS returns the AWS Key Management Service without actions.
func KMS() *Service {
	return newService("kms", "2014-11-01", "", jsonCodec{
		version: "1.1", target: "TrentService", missing: func(name string) *Error { return null("ValidationException", name) },
	})
}

// IAM returns AWS Identity and Access Management without actions.
func IAM() *Service {
	return newService("iam", "2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/", queryCodec{
		missing: func(name string) *Error { return null("ValidationError", name) },
	})
}

// SecretsManager returns AWS Secrets Manager without actions.
func SecretsManager() *Service {
	return newService("secretsmanager", "2017-10-17", "", jsonCodec{
		version: "1.1", target: "secretsmanager", missing: func(name string) *Error { return null("ValidationException", name) },
	})
}

// CloudWatchLogs returns Amazon CloudWatch Logs without actions.
func CloudWatchLogs() *Service {
	s := newService("logs", "2014-03-28", "", jsonCodec{
		version: "1.1", target: "Logs_20140328", missing: func(name string) *Error { return null("InvalidParameterException", name) },
	})
	s.maxBody = 4 << 20 // a batch of events has a megabyte before it is JSON
	return s
}

// RDSData returns the Data API of Amazon RDS without actions.
func RDSData() *Service {
	s := newService("rds-data", "2018-08-01", "", restJSONCodec{
		missing: func(name string) *Error { return null("BadRequestException", name) },
	})
	s.maxBody = 4 << 20
	return s
}

// SNS returns Amazon SNS without actions.
func SNS() *Service {
	return newService("sns", "2010-03-31", "http://sns.amazonaws.com/doc/2010-03-31/", queryCodec{
		missing: func(name string) *Error { return BadRequestf("InvalidParameter", "Invalid parameter: %s", name) },
	})
}

// null is the error for a required member in the words that many services have.
func null(code, name string) *Error {
	return BadRequestf(code, "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null",
		strings.ToLower(name[:1])+name[1:])
}

// EC2 returns the Amazon EC2 service without actions.
func EC2() *Service {
	return newService("ec2", "2016-11-15", "http://ec2.amazonaws.com/doc/2016-11-15/", ec2Codec{queryCodec{
		missing: func(name string) *Error {
			return BadRequestf("MissingParameter", "The request must contain the parameter %s", name)
		},
		unrecognized: func(name string) *Error {
			return BadRequestf("UnknownParameter", "The parameter %.100s is not recognized", name)
		},
	}})
}

// STS returns the AWS Security Token Service without actions.
func STS() *Service {
	return newService("sts", "2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/", queryCodec{
		missing: func(name string) *Error { return null("ValidationError", name) },
	})
}

func newService(name, version, namespace string, c codec) *Service {
	return &Service{
		name: name, version: version, namespace: namespace, codec: c,
		model: loadModel(name), actions: map[string]*action{}, maxBody: defaultMaxBody,
	}
}

// codec is one of AWS's protocols, from the HTTP request to the HTTP answer.
type codec interface {
	// parse reads which operation is asked for; its input is decoded later.
	parse(s *Service, r *http.Request, body []byte) (call, error)
	// result appends the body of a successful answer to buf.
	result(buf []byte, s *Service, a *action, out any, requestID string) ([]byte, error)
	// failure is the body of an error.
	failure(s *Service, e *Error, requestID string) []byte
	// refusal is the protocol's error for a failed authentication.
	refusal(r refusal) *Error
	// unknown is the protocol's error for an operation that is not there.
	unknown(s *Service, operation string) *Error
	// lacking is the service's error for a member that asks for what is not there.
	lacking(name string) *Error
	contentType() string
	// failureHeader sets what an error has in the header.
	failureHeader(h http.Header, e *Error)
}

// call is a request whose operation is known.
type call struct {
	operation string
	decode    func(a *action, in any) error
}
