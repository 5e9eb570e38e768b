package workflow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/platform/stack"
)

// databasesTimeout bounds how long databases may take to stop, start or restart.
const databasesTimeout = 30 * time.Minute

// onDatabases is the one step of an operation for which no Terraform runs.
func (r *run) onDatabases() (do func(context.Context) (string, error), ok bool) {
	switch r.d.Run.Operation {
	case OperationStop:
		return r.stop, true
	case OperationStart:
		return r.start, true
	case OperationRestart:
		return r.restart, true
	}
	return nil, false
}

// databases finds those of the deployment; one without any cannot be stopped.
func (r *run) databases(ctx context.Context) (finder stack.Finder, clusters, instances []stack.Database, err error) {
	if r.cell, _, err = r.engine.place(ctx, &r.d); err != nil {
		return finder, nil, nil, err
	}
	finder = r.cell.finder(r.d.ID)
	clusters, instances, err = finder.Databases(ctx)
	if err == nil && len(clusters) == 0 {
		err = invalid(r.d.Name+" has no database cluster", nil)
	}
	return finder, clusters, instances, err
}

func (r *run) stop(ctx context.Context) (string, error) {
	f, clusters, _, err := r.databases(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range clusters {
		if c.Status == "stopped" || c.Status == "stopping" {
			continue // this run was interrupted
		}
		if _, err := f.RDS.StopDBCluster(ctx, &rds.StopDBClusterInput{DBClusterIdentifier: aws.String(c.ID)}); err != nil {
			return "", fmt.Errorf("stop cluster %s: %w", c.ID, err)
		}
	}
	return r.await(ctx, f, "stopped", len(clusters))
}

func (r *run) start(ctx context.Context) (string, error) {
	f, clusters, _, err := r.databases(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range clusters {
		if c.Status != "stopped" {
			continue
		}
		if _, err := f.RDS.StartDBCluster(ctx, &rds.StartDBClusterInput{DBClusterIdentifier: aws.String(c.ID)}); err != nil {
			return "", fmt.Errorf("start cluster %s: %w", c.ID, err)
		}
	}
	return r.await(ctx, f, "available", len(clusters))
}

func (r *run) restart(ctx context.Context) (string, error) {
	f, _, instances, err := r.databases(ctx)
	if err != nil {
		return "", err
	}
	for _, i := range instances {
		if _, err := f.RDS.RebootDBInstance(ctx, &rds.RebootDBInstanceInput{DBInstanceIdentifier: aws.String(i.ID)}); err != nil {
			return "", fmt.Errorf("restart instance %s: %w", i.ID, err)
		}
	}
	if _, err := r.await(ctx, f, "available", 0); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d instances restarted", len(instances)), nil
}

// await waits until every cluster and instance has the status.
func (r *run) await(ctx context.Context, f stack.Finder, status string, clusters int) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, databasesTimeout, fmt.Errorf("the databases did not become %s", status))
	defer cancel()
	other := func(d stack.Database) bool { return d.Status != status }
	for {
		cs, is, err := f.Databases(ctx)
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(cs, other) && !slices.ContainsFunc(is, other) {
			return fmt.Sprintf("%d clusters %s", clusters, status), nil
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(250 * time.Millisecond):
		}
	}
}
