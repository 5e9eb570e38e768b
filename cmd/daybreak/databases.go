package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/cli"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/state"
)

// checkDatabases says which DB instances are not well, and why: damaged pages, data
// that no server starts from, a host that is away. Without a server there is no check.
func checkDatabases(ctx context.Context, l layout.Layout) []cli.Check {
	if _, err := os.Stat(l.EtcdSocket()); err != nil {
		return nil
	}
	check := cli.Check{Name: "databases", OK: true, Detail: "no problem is known"}
	instances, err := storedInstances(ctx, l)
	if err != nil {
		check.Detail = "not known: the state store does not answer"
	} else if troubles := troubles(instances); len(troubles) > 0 {
		check.OK, check.Detail = false, strings.Join(troubles, "; ")
		check.Hint = "What can be is repaired by itself; `daybreak aws rds describe-events` says how far that is."
	}
	return []cli.Check{check}
}

func storedInstances(ctx context.Context, l layout.Layout) ([]state.Item[aurora.DBInstance], error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	store, err := state.Open(l.EtcdSocket())
	if err != nil {
		return nil, err
	}
	defer store.Close()
	items, _, err := state.DBInstances(store).List(ctx, "")
	return items, err
}

// troubles are what is wrong with instances.
func troubles(instances []state.Item[aurora.DBInstance]) []string {
	var all []string
	for _, item := range instances {
		if in := item.Value; in.Status.Reason != "" && !in.DeleteRequested {
			all = append(all, fmt.Sprintf("%s: %s", in.Spec.Identifier, in.Status.Reason))
		}
	}
	return all
}
