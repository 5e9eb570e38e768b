package cli

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// client is the platform's API of this installation.
func (a *app) client() (rest.Client, error) {
	l, err := a.layout()
	if err != nil {
		return rest.Client{}, err
	}
	c, err := config.Load(l)
	if err != nil {
		return rest.Client{}, err
	}
	return clientOf(l, c)
}

func clientOf(l layout.Layout, c config.Config) (rest.Client, error) {
	keys, err := config.LoadCredentials(l)
	return rest.Client{BaseURL: "http://" + c.PlatformAddr, Token: keys.PlatformToken}, err
}

// ping returns nil when both APIs of the server answer.
func (a *app) ping(ctx context.Context, l layout.Layout, c config.Config) error {
	client, err := clientOf(l, c)
	if err != nil {
		return err
	}
	if _, err = client.Status(ctx); err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.RegionAddr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// explain turns an error of the API into one for people.
func explain(err error) error {
	var refused *rest.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return withHint(refused, refused.Hint)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	}
	return withHint(fmt.Errorf("the server does not answer: %w", err), "Start it: daybreak server start")
}
