package stack

import (
	"errors"

	"github.com/aws/smithy-go"
)

// isCode reports whether err is AWS's error of this code.
func isCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}
