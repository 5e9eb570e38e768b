package aws

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// becomesUsable bounds the wait for a target or a role that was made just before.
const becomesUsable = 2 * time.Minute

func (c *client) scalingPolicy() plugin.Resource {
	replace := plugin.Rule{Replace: true}
	return plugin.Resource{
		Rules: plugin.Rules{
			"name": {Replace: true, Check: atMost(255)}, "resource_id": replace, "scalable_dimension": replace, "service_namespace": replace,
			"policy_type": {Default: "StepScaling"},
			"target_tracking_scaling_policy_configuration.disable_scale_in":                                    {Default: false},
			"target_tracking_scaling_policy_configuration.customized_metric_specification.metrics.return_data": {Default: true},
		},
		Create: func(ctx context.Context, change *plugin.Change) error {
			o := change.State
			out, err := c.putPolicy(ctx, o)
			if err != nil {
				return fmt.Errorf("creating Application Auto Scaling Scaling Policy (%s): %w", o.String("name"), err)
			}
			o["id"] = o["name"]
			o.Set("arn", out.PolicyARN)
			return nil
		},
		Read: c.readPolicy,
		Update: func(ctx context.Context, change *plugin.Change) error {
			_, err := c.putPolicy(ctx, change.State)
			return wrap(err, "updating Application Auto Scaling Scaling Policy (%s)", change.State.String("id"))
		},
		Delete: c.deletePolicy,
		Import: importPolicy,
	}
}

func importPolicy(id string) (plugin.Object, error) {
	parts := strings.Split(id, "/")
	n := len(parts)
	if n < 4 || parts[0] == "" || parts[n-2] == "" || parts[n-1] == "" {
		return nil, fmt.Errorf("unexpected format (%q), expected <service-namespace>/<resource-id>/<scalable-dimension>/<policy-name>", id)
	}
	return plugin.Object{
		"id": parts[n-1], "name": parts[n-1], "service_namespace": parts[0], "scalable_dimension": parts[n-2],
		"resource_id": strings.Join(parts[1:n-2], "/"),
	}, nil
}

func (c *client) putPolicy(ctx context.Context, o plugin.Object) (*applicationautoscaling.PutScalingPolicyOutput, error) {
	in := &applicationautoscaling.PutScalingPolicyInput{
		PolicyName:        aws.String(o.String("name")),
		PolicyType:        types.PolicyType(o.String("policy_type")),
		ResourceId:        aws.String(o.String("resource_id")),
		ScalableDimension: types.ScalableDimension(o.String("scalable_dimension")),
		ServiceNamespace:  types.ServiceNamespace(o.String("service_namespace")),
	}
	for _, s := range o.Objects("step_scaling_policy_configuration") {
		step, err := stepScaling(s)
		if err != nil {
			return nil, err
		}
		in.StepScalingPolicyConfiguration = step
	}
	for _, t := range o.Objects("target_tracking_scaling_policy_configuration") {
		in.TargetTrackingScalingPolicyConfiguration = targetTracking(t)
	}
	var out *applicationautoscaling.PutScalingPolicyOutput
	passes := func(err error) bool {
		return failed(err, "FailedResourceAccessException") || failed(err, "ObjectNotFoundException")
	}
	err := plugin.Retry(ctx, becomesUsable, passes, func(ctx context.Context) error {
		var err error
		out, err = c.scaling.PutScalingPolicy(ctx, in)
		return err
	})
	return out, err
}

func stepScaling(s plugin.Object) (*types.StepScalingPolicyConfiguration, error) {
	p := picker{s, s.Has}
	out := &types.StepScalingPolicyConfiguration{
		AdjustmentType:         types.AdjustmentType(s.String("adjustment_type")),
		Cooldown:               p.int32("cooldown"),
		MetricAggregationType:  types.MetricAggregationType(s.String("metric_aggregation_type")),
		MinAdjustmentMagnitude: p.int32("min_adjustment_magnitude"),
	}
	for _, a := range s.Objects("step_adjustment") {
		step := types.StepAdjustment{ScalingAdjustment: aws.Int32(a.Int("scaling_adjustment"))}
		for name, to := range map[string]**float64{
			"metric_interval_lower_bound": &step.MetricIntervalLowerBound, "metric_interval_upper_bound": &step.MetricIntervalUpperBound,
		} {
			if !a.Has(name) {
				continue
			}
			f, err := strconv.ParseFloat(a.String(name), 64)
			if err != nil {
				return nil, fmt.Errorf("%s must be a number in a string: %w", name, err)
			}
			*to = &f
		}
		out.StepAdjustments = append(out.StepAdjustments, step)
	}
	return out, nil
}

func targetTracking(t plugin.Object) *types.TargetTrackingScalingPolicyConfiguration {
	out := &types.TargetTrackingScalingPolicyConfiguration{
		TargetValue:      aws.Float64(t.Float("target_value")),
		DisableScaleIn:   aws.Bool(t.Bool("disable_scale_in")),
		ScaleInCooldown:  aws.Int32(t.Int("scale_in_cooldown")),
		ScaleOutCooldown: aws.Int32(t.Int("scale_out_cooldown")),
	}
	for _, m := range t.Objects("predefined_metric_specification") {
		out.PredefinedMetricSpecification = &types.PredefinedMetricSpecification{
			PredefinedMetricType: types.MetricType(m.String("predefined_metric_type")), ResourceLabel: picker{m, m.Has}.str("resource_label"),
		}
	}
	for _, m := range t.Objects("customized_metric_specification") {
		p := picker{m, m.Has}
		custom := &types.CustomizedMetricSpecification{
			MetricName: p.str("metric_name"), Namespace: p.str("namespace"), Statistic: types.MetricStatistic(m.String("statistic")), Unit: p.str("unit"),
		}
		for _, d := range m.Objects("dimensions") {
			custom.Dimensions = append(custom.Dimensions, types.MetricDimension{Name: aws.String(d.String("name")), Value: aws.String(d.String("value"))})
		}
		for _, q := range m.Objects("metrics") {
			custom.Metrics = append(custom.Metrics, metricQuery(q))
		}
		out.CustomizedMetricSpecification = custom
	}
	return out
}

func metricQuery(q plugin.Object) types.TargetTrackingMetricDataQuery {
	p := picker{q, q.Has}
	out := types.TargetTrackingMetricDataQuery{
		Id: aws.String(q.String("id")), Expression: p.str("expression"), Label: p.str("label"), ReturnData: aws.Bool(q.Bool("return_data")),
	}
	for _, s := range q.Objects("metric_stat") {
		out.MetricStat = &types.TargetTrackingMetricStat{Stat: aws.String(s.String("stat")), Unit: picker{s, s.Has}.str("unit")}
		for _, m := range s.Objects("metric") {
			metric := &types.TargetTrackingMetric{MetricName: aws.String(m.String("metric_name")), Namespace: aws.String(m.String("namespace"))}
			for _, d := range m.Objects("dimensions") {
				metric.Dimensions = append(metric.Dimensions, types.TargetTrackingMetricDimension{Name: aws.String(d.String("name")), Value: aws.String(d.String("value"))})
			}
			out.MetricStat.Metric = metric
		}
	}
	return out
}

func (c *client) readPolicy(ctx context.Context, o plugin.Object) (bool, error) {
	out, err := c.scaling.DescribeScalingPolicies(ctx, &applicationautoscaling.DescribeScalingPoliciesInput{
		PolicyNames:       []string{o.String("name")},
		ResourceId:        aws.String(o.String("resource_id")),
		ScalableDimension: types.ScalableDimension(o.String("scalable_dimension")),
		ServiceNamespace:  types.ServiceNamespace(o.String("service_namespace")),
	})
	if err != nil || len(out.ScalingPolicies) == 0 {
		return false, wrap(err, "reading Application Auto Scaling Scaling Policy (%s)", o.String("id"))
	}
	p := out.ScalingPolicies[0]
	alarms := []any{}
	for _, a := range p.Alarms {
		alarms = append(alarms, aws.ToString(a.AlarmARN))
	}
	o["alarm_arns"] = alarms
	o.Set("arn", p.PolicyARN)
	o.Set("name", p.PolicyName)
	o.Set("policy_type", p.PolicyType)
	o.Set("resource_id", p.ResourceId)
	o.Set("scalable_dimension", p.ScalableDimension)
	o.Set("service_namespace", p.ServiceNamespace)
	o["step_scaling_policy_configuration"], o["target_tracking_scaling_policy_configuration"] = []any{}, []any{}
	if s := p.StepScalingPolicyConfiguration; s != nil {
		o["step_scaling_policy_configuration"] = []any{setStepScaling(s)}
	}
	if t := p.TargetTrackingScalingPolicyConfiguration; t != nil {
		o["target_tracking_scaling_policy_configuration"] = []any{setTargetTracking(t)}
	}
	return true, nil
}

// present makes an object of those of the names and pointers in turn that point to something.
func present(pairs ...any) plugin.Object {
	o := element(pairs...)
	for i := 0; i < len(pairs); i += 2 {
		if name := pairs[i].(string); !o.Has(name) && isNil(pairs[i+1]) {
			delete(o, name)
		}
	}
	return o
}

func isNil(v any) bool {
	switch v := v.(type) {
	case *string:
		return v == nil
	case *int32:
		return v == nil
	case *bool:
		return v == nil
	case *float64:
		return v == nil
	}
	return false
}

func setStepScaling(s *types.StepScalingPolicyConfiguration) plugin.Object {
	o := present("cooldown", s.Cooldown, "min_adjustment_magnitude", s.MinAdjustmentMagnitude,
		"adjustment_type", s.AdjustmentType, "metric_aggregation_type", s.MetricAggregationType)
	steps := []any{}
	for _, a := range s.StepAdjustments {
		steps = append(steps, element("scaling_adjustment", a.ScalingAdjustment,
			"metric_interval_lower_bound", bound(a.MetricIntervalLowerBound), "metric_interval_upper_bound", bound(a.MetricIntervalUpperBound)))
	}
	o["step_adjustment"] = steps
	return o
}

func bound(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'g', -1, 64)
}

func setTargetTracking(t *types.TargetTrackingScalingPolicyConfiguration) plugin.Object {
	o := present("disable_scale_in", t.DisableScaleIn, "scale_in_cooldown", t.ScaleInCooldown,
		"scale_out_cooldown", t.ScaleOutCooldown, "target_value", t.TargetValue)
	predefined, customized := []any{}, []any{}
	if m := t.PredefinedMetricSpecification; m != nil {
		predefined = append(predefined, present("predefined_metric_type", m.PredefinedMetricType, "resource_label", m.ResourceLabel))
	}
	if m := t.CustomizedMetricSpecification; m != nil {
		custom := present("metric_name", m.MetricName, "namespace", m.Namespace, "statistic", m.Statistic, "unit", m.Unit)
		dimensions, metrics := []any{}, []any{}
		for _, d := range m.Dimensions {
			dimensions = append(dimensions, element("name", d.Name, "value", d.Value))
		}
		for _, q := range m.Metrics {
			metrics = append(metrics, setMetricQuery(q))
		}
		custom["dimensions"], custom["metrics"] = dimensions, metrics
		customized = append(customized, custom)
	}
	o["predefined_metric_specification"], o["customized_metric_specification"] = predefined, customized
	return o
}

func setMetricQuery(q types.TargetTrackingMetricDataQuery) plugin.Object {
	o := element("id", q.Id, "expression", q.Expression, "label", q.Label, "return_data", q.ReturnData)
	stats := []any{}
	if s := q.MetricStat; s != nil {
		metrics := []any{}
		if m := s.Metric; m != nil {
			dimensions := []any{}
			for _, d := range m.Dimensions {
				dimensions = append(dimensions, element("name", d.Name, "value", d.Value))
			}
			metric := element("metric_name", m.MetricName, "namespace", m.Namespace)
			metric["dimensions"] = dimensions
			metrics = append(metrics, metric)
		}
		stat := element("stat", s.Stat, "unit", s.Unit)
		stat["metric"] = metrics
		stats = append(stats, stat)
	}
	o["metric_stat"] = stats
	return o
}

func (c *client) deletePolicy(ctx context.Context, o plugin.Object, _ time.Duration) error {
	_, err := c.scaling.DeleteScalingPolicy(ctx, &applicationautoscaling.DeleteScalingPolicyInput{
		PolicyName:        aws.String(o.String("name")),
		ResourceId:        aws.String(o.String("resource_id")),
		ScalableDimension: types.ScalableDimension(o.String("scalable_dimension")),
		ServiceNamespace:  types.ServiceNamespace(o.String("service_namespace")),
	})
	if err != nil && !failed(err, "ObjectNotFoundException") {
		return fmt.Errorf("deleting Application Auto Scaling Scaling Policy (%s): %w", o.String("id"), err)
	}
	return nil
}
