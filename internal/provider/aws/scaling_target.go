package aws

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

func (c *client) scalingTarget() plugin.Resource {
	replace := plugin.Rule{Replace: true}
	return plugin.Resource{
		Rules: plugin.Rules{
			"resource_id": replace, "scalable_dimension": replace, "service_namespace": replace, "suspended_state": {Keep: leftOut},
		},
		Customize: c.planTags,
		Create: func(ctx context.Context, change *plugin.Change) error {
			in := scalableTarget(change.State)
			in.Tags = c.newTags(change)
			if _, err := c.scaling.RegisterScalableTarget(ctx, in); err != nil {
				return fmt.Errorf("creating Application AutoScaling Target (%s): %w", change.State.String("resource_id"), err)
			}
			change.State["id"] = change.State["resource_id"]
			return nil
		},
		Read:   c.readTarget,
		Update: c.updateTarget,
		Delete: c.deleteTarget,
		Import: importTarget,
	}
}

func importTarget(id string) (plugin.Object, error) {
	parts := strings.Split(id, "/")
	if len(parts) < 3 || parts[0] == "" || parts[len(parts)-1] == "" {
		return nil, fmt.Errorf("unexpected format (%q), expected <service-namespace>/<resource-id>/<scalable-dimension>", id)
	}
	resource := strings.Join(parts[1:len(parts)-1], "/")
	return plugin.Object{"id": resource, "service_namespace": parts[0], "resource_id": resource, "scalable_dimension": parts[len(parts)-1]}, nil
}

func scalableTarget(o plugin.Object) *applicationautoscaling.RegisterScalableTargetInput {
	in := &applicationautoscaling.RegisterScalableTargetInput{
		MinCapacity: aws.Int32(o.Int("min_capacity")), MaxCapacity: aws.Int32(o.Int("max_capacity")),
		ResourceId:        aws.String(o.String("resource_id")),
		ScalableDimension: types.ScalableDimension(o.String("scalable_dimension")),
		ServiceNamespace:  types.ServiceNamespace(o.String("service_namespace")),
		RoleARN:           picker{o, o.Has}.str("role_arn"),
	}
	for _, s := range o.Objects("suspended_state") {
		in.SuspendedState = &types.SuspendedState{
			DynamicScalingInSuspended:  aws.Bool(s.Bool("dynamic_scaling_in_suspended")),
			DynamicScalingOutSuspended: aws.Bool(s.Bool("dynamic_scaling_out_suspended")),
			ScheduledScalingSuspended:  aws.Bool(s.Bool("scheduled_scaling_suspended")),
		}
	}
	return in
}

// findTarget returns nil when there is no such target.
func (c *client) findTarget(ctx context.Context, o plugin.Object) (*types.ScalableTarget, error) {
	out, err := c.scaling.DescribeScalableTargets(ctx, &applicationautoscaling.DescribeScalableTargetsInput{
		ResourceIds:       []string{o.String("id")},
		ScalableDimension: types.ScalableDimension(o.String("scalable_dimension")),
		ServiceNamespace:  types.ServiceNamespace(o.String("service_namespace")),
	})
	if err != nil || len(out.ScalableTargets) == 0 {
		return nil, err
	}
	return &out.ScalableTargets[0], nil
}

func (c *client) readTarget(ctx context.Context, o plugin.Object) (bool, error) {
	id := o.String("id")
	t, err := c.findTarget(ctx, o)
	if err != nil || t == nil {
		return false, wrap(err, "reading Application AutoScaling Target (%s)", id)
	}
	o.Set("arn", t.ScalableTargetARN)
	o.Set("min_capacity", t.MinCapacity)
	o.Set("max_capacity", t.MaxCapacity)
	o.Set("resource_id", t.ResourceId)
	o.Set("role_arn", t.RoleARN)
	o.Set("scalable_dimension", t.ScalableDimension)
	o.Set("service_namespace", t.ServiceNamespace)
	suspended := []any{}
	if s := t.SuspendedState; s != nil {
		suspended = append(suspended, element("dynamic_scaling_in_suspended", s.DynamicScalingInSuspended,
			"dynamic_scaling_out_suspended", s.DynamicScalingOutSuspended, "scheduled_scaling_suspended", s.ScheduledScalingSuspended))
	}
	o["suspended_state"] = suspended
	if t.ScalableTargetARN == nil {
		return true, nil
	}
	out, err := c.scaling.ListTagsForResource(ctx, &applicationautoscaling.ListTagsForResourceInput{ResourceARN: t.ScalableTargetARN})
	if err != nil {
		return false, fmt.Errorf("listing tags for Application AutoScaling Target (%s): %w", id, err)
	}
	c.setTags(o, out.Tags)
	return true, nil
}

func (c *client) updateTarget(ctx context.Context, change *plugin.Change) error {
	o := change.State
	id, arn := o.String("id"), aws.String(change.Prior.String("arn"))
	set, removed := c.tagChange(change)
	if len(removed) > 0 {
		if _, err := c.scaling.UntagResource(ctx, &applicationautoscaling.UntagResourceInput{ResourceARN: arn, TagKeys: removed}); err != nil {
			return fmt.Errorf("updating tags for Application AutoScaling Target (%s): %w", id, err)
		}
	}
	if len(set) > 0 {
		if _, err := c.scaling.TagResource(ctx, &applicationautoscaling.TagResourceInput{ResourceARN: arn, Tags: set}); err != nil {
			return fmt.Errorf("updating tags for Application AutoScaling Target (%s): %w", id, err)
		}
	}
	if change.Changed("min_capacity", "max_capacity", "role_arn", "suspended_state") {
		if _, err := c.scaling.RegisterScalableTarget(ctx, scalableTarget(o)); err != nil {
			return fmt.Errorf("updating Application AutoScaling Target (%s): %w", id, err)
		}
	}
	return nil
}

func (c *client) deleteTarget(ctx context.Context, o plugin.Object, _ time.Duration) error {
	id := o.String("id")
	_, err := c.scaling.DeregisterScalableTarget(ctx, &applicationautoscaling.DeregisterScalableTargetInput{
		ResourceId:        aws.String(id),
		ScalableDimension: types.ScalableDimension(o.String("scalable_dimension")),
		ServiceNamespace:  types.ServiceNamespace(o.String("service_namespace")),
	})
	if err != nil && !failed(err, "ObjectNotFoundException") {
		return fmt.Errorf("deleting Application AutoScaling Target (%s): %w", id, err)
	}
	err = plugin.Wait(ctx, goneWithin, func(ctx context.Context) (string, bool, error) {
		t, err := c.findTarget(ctx, o)
		return "", t == nil, err
	})
	return wrap(err, "waiting for Application AutoScaling Target (%s) delete", id)
}
