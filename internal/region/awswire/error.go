package awswire

import (
	"fmt"
	"net/http"
)

// Error is an answer to the client: a wire code of AWS with its HTTP status. Any
// other error of an action becomes InternalFailure, unless the handler's
// Translate knows it.
type Error struct {
	Code    string
	Status  int
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes an error with a status of its own (DBClusterNotFoundFault is 404).
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

// BadRequestf makes an error with status 400.
func BadRequestf(code, format string, args ...any) *Error {
	return Errorf(http.StatusBadRequest, code, format, args...)
}

// InvalidParameterValue says that one parameter's value is not allowed.
func InvalidParameterValue(format string, args ...any) *Error {
	return BadRequestf("InvalidParameterValue", format, args...)
}

// InvalidParameterCombination says that parameters do not go together.
func InvalidParameterCombination(format string, args ...any) *Error {
	return BadRequestf("InvalidParameterCombination", format, args...)
}

// fault is Sender or Receiver, the Type of the Query error envelope.
func (e *Error) fault() string {
	if e.Status >= 500 {
		return "Receiver"
	}
	return "Sender"
}
