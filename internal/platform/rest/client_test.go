package rest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

func TestClientWaitsForAServerThatIsStartedAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	client := Client{BaseURL: "http://" + addr}
	if _, err := client.Status(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without patience: %v", err)
	}

	client.Patience = time.Minute
	answered := make(chan error, 1)
	go func() {
		_, err := client.Modify(t.Context(), "demo", ModifyRequest{})
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(3 * redial): // not synchronisation: long enough for a refusal
	}
	if l, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	calls := 0
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		_, _ = w.Write([]byte("{}"))
	})}
	go func() { _ = server.Serve(l) }()
	if err := <-answered; err != nil || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	_ = server.Shutdown(context.WithoutCancel(t.Context()))
}
