package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// engine answers what a test tells it to.
type engine struct {
	up  rest.UpRequest
	err error
}

func (e *engine) Upload(context.Context, []byte) (rest.Artifact, error) {
	return rest.Artifact{}, e.err
}
func (e *engine) Up(_ context.Context, name string, req rest.UpRequest) (rest.Run, error) {
	e.up = req
	return rest.Run{ID: 1, Deployment: name}, e.err
}
func (e *engine) Modify(context.Context, string, rest.ModifyRequest) (rest.Run, error) {
	return rest.Run{}, e.err
}
func (e *engine) Down(context.Context, string) (rest.Run, error)  { return rest.Run{}, e.err }
func (e *engine) List(context.Context) ([]rest.Deployment, error) { return nil, e.err }
func (e *engine) Describe(context.Context, string, bool) (rest.Deployment, error) {
	return rest.Deployment{}, e.err
}
func (e *engine) Log(_ context.Context, _ string, _ bool, w io.Writer, flush func()) error {
	_, err := io.WriteString(w, "line\n")
	flush()
	return err
}

func serve(t *testing.T, e *engine) rest.Client {
	t.Helper()
	server := httptest.NewServer(New(Config{
		Engine: e, Token: "right", Status: func() rest.Status { return rest.Status{Region: "us-west-2"} },
		Metrics: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler), MaxArtifact: 10,
	}))
	t.Cleanup(server.Close)
	return rest.Client{BaseURL: server.URL, Token: "right"}
}

func TestClientAndServerAgree(t *testing.T) {
	e := &engine{}
	c := serve(t, e)
	run, err := c.Up(t.Context(), "a name/with slash", rest.UpRequest{Parameters: map[string]any{"n": 2}})
	if err != nil || run.Deployment != "a name/with slash" || run.ID != 1 {
		t.Errorf("%+v, %v", run, err)
	}
	log, err := c.Log(t.Context(), "x", true)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if text, _ := io.ReadAll(log); string(text) != "line\n" {
		t.Errorf("log %q", text)
	}
}

func TestRefusalsKeepTheirWordsAndInternalErrorsDoNotLeak(t *testing.T) {
	e := &engine{err: &rest.Error{HTTPStatus: 409, Code: rest.CodeConflict, Message: "busy", Hint: "wait"}}
	c := serve(t, e)
	var refused *rest.Error
	if _, err := c.Down(t.Context(), "x"); !errors.As(err, &refused) || refused.HTTPStatus != 409 || refused.Hint != "wait" {
		t.Errorf("%+v", refused)
	}
	e.err = errors.New("secret path")
	if _, err := c.Down(t.Context(), "x"); !errors.As(err, &refused) || refused.HTTPStatus != 500 || strings.Contains(refused.Error(), "secret") {
		t.Errorf("%+v", refused)
	}
}

func TestStrangersAreKeptOut(t *testing.T) {
	c := serve(t, &engine{})
	wrong := c
	wrong.Token = "wrong"
	var refused *rest.Error
	if _, err := wrong.Status(t.Context()); !errors.As(err, &refused) || refused.HTTPStatus != http.StatusUnauthorized {
		t.Errorf("wrong token: %v", err)
	}
	req, err := http.NewRequest(http.MethodGet, c.BaseURL+"/v1/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	req.Header.Set("Authorization", "Bearer right")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("foreign name: %s", resp.Status)
	}
}

func TestBodiesAreStrict(t *testing.T) {
	c := serve(t, &engine{})
	if _, err := c.Upload(t.Context(), make([]byte, 11)); err == nil {
		t.Error("an upload over the bound was taken")
	}
	url := c.BaseURL
	for name, c := range map[string]struct {
		body, want string
		status     int
	}{
		"unknown field": {`{"artefact": "typo"}`, "artefact", http.StatusBadRequest},
		"two values":    {`{"artifact": "x"} {}`, "more than one", http.StatusBadRequest},
		"cut off":       {`{"artifact": "x`, "JSON", http.StatusBadRequest},
		"too large":     {`{"artifact": "` + strings.Repeat("x", maxBody) + `"}`, "larger", http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := put(t, url, c.body)
			if status != c.status || !strings.Contains(text, c.want) {
				t.Errorf("%d %s", status, text)
			}
		})
	}
}

func put(t *testing.T, url, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, url+"/v1/deployments/x", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer right")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}
