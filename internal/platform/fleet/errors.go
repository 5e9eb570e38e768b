package fleet

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// apiError is an error as the clients read it: they want all six keys.
type apiError struct {
	status    int
	Name      string `json:"name"`
	ID        string `json:"id"`
	Message   string `json:"message"`
	Temporary bool   `json:"temporary"`
	Timeout   bool   `json:"timeout"`
	Fault     bool   `json:"fault"`
}

func (e *apiError) encode() []byte {
	data, _ := json.Marshal(e) // strings and booleans
	return data
}

// names of the statuses that the clients know. Any other they show as it came.
var names = map[int]string{
	http.StatusBadRequest: "bad_request", http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden",
	http.StatusNotFound: "not_found", http.StatusConflict: "conflict", http.StatusInternalServerError: "internal",
}

// refusal is what the caller is told. An error that is not meant for them is
// logged and told without its text.
func (s *Server) refusal(c *call, err error) *apiError {
	id := strings.ToLower(rand.Text()[:8])
	var refused *rest.Error
	switch {
	case errors.As(err, &refused):
	case errors.Is(err, state.ErrConflict):
		refused = &rest.Error{HTTPStatus: http.StatusConflict, Message: "somebody else changed it at the same time: repeat the call"}
	default:
		s.Logger.Error("call failed", "id", id, "method", c.Method, "path", c.URL.Path, "error", err)
		refused = &rest.Error{HTTPStatus: http.StatusInternalServerError, Message: "the call failed in the server; its log says why, under " + id}
	}
	message := refused.Error()
	if refused.Hint != "" {
		message += "\n" + refused.Hint
	}
	status := refused.HTTPStatus
	if names[status] == "" {
		status = http.StatusBadRequest
		if refused.HTTPStatus >= 500 {
			status = http.StatusInternalServerError
		}
	}
	return &apiError{status: status, Name: names[status], ID: id, Message: message, Temporary: status == 500, Fault: status == 500}
}

func invalid(format string, args ...any) *rest.Error {
	return &rest.Error{HTTPStatus: http.StatusBadRequest, Code: rest.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) *rest.Error {
	return &rest.Error{HTTPStatus: http.StatusForbidden, Code: rest.CodeUnauthorized, Message: fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) *rest.Error {
	return &rest.Error{HTTPStatus: http.StatusConflict, Code: rest.CodeConflict, Message: fmt.Sprintf(format, args...)}
}

func notFound(what, id string) *rest.Error {
	return &rest.Error{HTTPStatus: http.StatusNotFound, Code: rest.CodeNotFound, Message: fmt.Sprintf("there is no %s %q", what, id)}
}
