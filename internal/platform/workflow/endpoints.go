package workflow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/render"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/spec"
)

// endpointsOf are the plan's endpoints, filled from the outputs. A plan that
// describes none has those that Aurora stacks name in their outputs.
func endpointsOf(root *spec.Service, outputs map[string]storedOutput) (map[string]rest.Endpoint, error) {
	out := map[string]any{}
	for name, o := range outputs {
		out[name] = o.Value
	}
	endpoints := map[string]rest.Endpoint{}
	if len(root.Endpoints) == 0 {
		for name, output := range map[string]string{"writer": "cluster_global_endpoint", "reader": "cluster_reader_endpoint"} {
			if host, ok := out[output].(string); ok && host != "" {
				endpoints[name] = rest.Endpoint{Host: host, Port: portOf(out, nil)}
			}
		}
		return endpoints, nil
	}
	tree := render.Scope{root.Key: map[string]any{"out": out}}
	for _, e := range root.Endpoints {
		host, err := render.Text(e.Host, tree)
		if err == nil && strings.HasPrefix(strings.TrimSpace(e.Host), "$") {
			var value any
			value, err = render.Eval(e.Host, tree)
			host = fmt.Sprint(value)
		}
		if err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", e.Name, err)
		}
		endpoints[e.Name] = rest.Endpoint{Host: host, Port: portOf(out, e.Ports)}
	}
	return endpoints, nil
}

const defaultPort = 5432

// portOf is what the stack says of its cluster, else what the plan says.
func portOf(out map[string]any, ports []int) int {
	if port, ok := out["cluster_port"].(float64); ok {
		return int(port)
	}
	if len(ports) > 0 {
		return ports[0]
	}
	return defaultPort
}

// reachTimeout bounds how long an endpoint may take to answer after apply.
const reachTimeout = 20 * time.Second

// endpoints sees to it that every endpoint speaks PostgreSQL.
func (r *run) endpoints(ctx context.Context) (string, error) {
	reached := 0
	for _, name := range sortedKeys(r.d.Endpoints) {
		e := r.d.Endpoints[name]
		err := r.reach(ctx, e)
		if err == nil {
			reached++
			continue
		}
		if r.d.Target == rest.TargetAWS {
			// A network of AWS need not be reachable from here.
			return fmt.Sprintf("%s at %s is not reachable from here: %v", name, e.Host, err), nil
		}
		return "", fmt.Errorf("the %s endpoint %s:%d does not answer: %w", name, e.Host, e.Port, err)
	}
	return fmt.Sprintf("%d reached", reached), nil
}

// reach repeats until the endpoint answers PostgreSQL's TLS request.
func (r *run) reach(ctx context.Context, e rest.Endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	for {
		host, err := e.Host, error(nil)
		if r.d.Target == rest.TargetEmbedded && r.engine.Resolve != nil {
			host, err = r.engine.Resolve(ctx, e.Host)
		}
		if err == nil {
			err = askTLS(ctx, net.JoinHostPort(host, strconv.Itoa(e.Port)))
		}
		var dns *net.DNSError
		if err == nil || errors.As(err, &dns) && r.d.Target == rest.TargetAWS {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// sslRequest is the code of PostgreSQL's SSLRequest message.
const sslRequest = 80877103

func askTLS(ctx context.Context, addr string) error {
	dialer := net.Dialer{Timeout: 3 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	message := binary.BigEndian.AppendUint32(nil, 8)
	message = binary.BigEndian.AppendUint32(message, sslRequest)
	if _, err := conn.Write(message); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if answer[0] != 'S' && answer[0] != 'N' {
		return fmt.Errorf("it answers %q, which is not PostgreSQL", answer)
	}
	return nil
}
