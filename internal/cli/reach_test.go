package cli

import (
	"net"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

func TestUnreachableNamesEndpointsThatDoNotListen(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := func(l net.Listener) rest.Endpoint {
		return rest.Endpoint{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	}
	d := rest.Deployment{Target: rest.TargetEmbedded, Endpoints: map[string]rest.Endpoint{"writer": endpoint(open), "reader": endpoint(closed)}}
	_ = closed.Close()

	got := unreachable(t.Context(), config.Config{}, d)
	if len(got) != 1 || !strings.Contains(got["reader"], "refused") {
		t.Errorf("got %v, want the reader refused only", got)
	}
	d.Target = rest.TargetAWS
	if got := unreachable(t.Context(), config.Config{}, d); len(got) != 0 {
		t.Errorf("an endpoint on AWS is judged from here: %v", got)
	}
}
