package cli

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// reachLimit bounds how long an endpoint may take to accept a connection.
const reachLimit = time.Second

// unreachable says, by endpoint, why no connection to it can be made from here: a
// security group refuses later, in PostgreSQL's words, so this is the host's doing,
// such as another program that holds the address.
func unreachable(ctx context.Context, c config.Config, d rest.Deployment) map[string]string {
	problems := map[string]string{}
	if d.Target != rest.TargetEmbedded {
		return problems // its endpoints may be where only applications are
	}
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	var running sync.WaitGroup
	var mu sync.Mutex
	for name, e := range d.Endpoints {
		running.Go(func() {
			err := reach(ctx, c, e)
			if err == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			problems[name] = err.Error()
		})
	}
	running.Wait()
	return problems
}

func reach(ctx context.Context, c config.Config, e rest.Endpoint) error {
	host, err := c.Resolve(ctx, e.Host)
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(e.Port)))
	if err != nil {
		return err
	}
	return conn.Close()
}
