package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// A Server answers Terraform for one provider.
type Server struct {
	unsupported
	provider *Provider
}

// NewServer serves a provider. Every resource and data source must have a schema.
func NewServer(p *Provider) *Server { return &Server{provider: p} }

func (s *Server) GetMetadata(context.Context, *tfprotov5.GetMetadataRequest) (*tfprotov5.GetMetadataResponse, error) {
	resp := &tfprotov5.GetMetadataResponse{ServerCapabilities: capabilities()}
	for name := range s.provider.Resources {
		resp.Resources = append(resp.Resources, tfprotov5.ResourceMetadata{TypeName: name})
	}
	for name := range s.provider.DataSources {
		resp.DataSources = append(resp.DataSources, tfprotov5.DataSourceMetadata{TypeName: name})
	}
	return resp, nil
}

func capabilities() *tfprotov5.ServerCapabilities {
	return &tfprotov5.ServerCapabilities{GetProviderSchemaOptional: true}
}

func (s *Server) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	return &tfprotov5.GetProviderSchemaResponse{
		ServerCapabilities: capabilities(),
		Provider:           s.provider.Schemas.Provider,
		ResourceSchemas:    s.provider.Schemas.Resources,
		DataSourceSchemas:  s.provider.Schemas.DataSources,
	}, nil
}

func (s *Server) PrepareProviderConfig(_ context.Context, req *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: req.Config}, nil
}

func (s *Server) ConfigureProvider(ctx context.Context, req *tfprotov5.ConfigureProviderRequest) (*tfprotov5.ConfigureProviderResponse, error) {
	config, err := object(s.provider.Schemas.Provider, req.Config)
	if err == nil && s.provider.Configure != nil {
		err = s.provider.Configure(ctx, config)
	}
	return &tfprotov5.ConfigureProviderResponse{Diagnostics: diagnose(err)}, nil
}

// StopProvider has nothing to do: the transport cancels the contexts of what is under way.
func (s *Server) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func (s *Server) resource(name string) (*Resource, *tfprotov5.Schema, error) {
	r, ok := s.provider.Resources[name]
	schema := s.provider.Schemas.Resources[name]
	if !ok || schema == nil {
		return nil, nil, fmt.Errorf("this provider has no resource type %s", name)
	}
	return &r, schema, nil
}

func (s *Server) ValidateResourceTypeConfig(_ context.Context, req *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	r, schema, err := s.resource(req.TypeName)
	if err != nil {
		return nil, err
	}
	config, err := object(schema, req.Config)
	if err == nil {
		err = validate(r.Rules, "", schema.Block, config)
	}
	if err == nil && r.Validate != nil {
		err = r.Validate(config)
	}
	return &tfprotov5.ValidateResourceTypeConfigResponse{Diagnostics: diagnose(err)}, nil
}

func (s *Server) UpgradeResourceState(_ context.Context, req *tfprotov5.UpgradeResourceStateRequest) (*tfprotov5.UpgradeResourceStateResponse, error) {
	r, schema, err := s.resource(req.TypeName)
	if err != nil {
		return nil, err
	}
	resp := &tfprotov5.UpgradeResourceStateResponse{}
	raw, err := req.RawState.UnmarshalWithOpts(schema.ValueType(), tfprotov5.UnmarshalOpts{
		ValueFromJSONOpts: tftypes.ValueFromJSONOpts{IgnoreUndefinedAttributes: true},
	})
	if err != nil {
		resp.Diagnostics = diagnose(fmt.Errorf("reading the stored state of a %s: %w", req.TypeName, err))
		return resp, nil
	}
	state, _ := decode(raw).(Object)
	if r.Upgrade != nil && req.Version < schema.Version {
		r.Upgrade(req.Version, state)
	}
	resp.UpgradedState, err = dynamic(schema, state)
	resp.Diagnostics = diagnose(err)
	return resp, nil
}

func (s *Server) ReadResource(ctx context.Context, req *tfprotov5.ReadResourceRequest) (*tfprotov5.ReadResourceResponse, error) {
	r, schema, err := s.resource(req.TypeName)
	if err != nil {
		return nil, err
	}
	resp := &tfprotov5.ReadResourceResponse{NewState: req.CurrentState, Private: req.Private}
	before, err := object(schema, req.CurrentState)
	if err != nil || before == nil {
		resp.Diagnostics = diagnose(err)
		return resp, nil
	}
	state := clone(before).(Object)
	found, err := r.Read(ctx, state)
	if err != nil {
		resp.Diagnostics = diagnose(err)
		return resp, nil
	}
	if !found {
		state = nil
	} else if s.provider.Legacy {
		settle(state, before, schema.ValueType(), false)
	}
	resp.NewState, err = dynamic(schema, state)
	resp.Diagnostics = diagnose(err)
	return resp, nil
}

func (s *Server) PlanResourceChange(_ context.Context, req *tfprotov5.PlanResourceChangeRequest) (*tfprotov5.PlanResourceChangeResponse, error) {
	r, schema, err := s.resource(req.TypeName)
	if err != nil {
		return nil, err
	}
	resp := &tfprotov5.PlanResourceChangeResponse{
		PlannedState: req.ProposedNewState, PlannedPrivate: req.PriorPrivate,
		//lint:ignore SA1019 hashicorp/aws plans so, and a state must plan the same with either
		UnsafeToUseLegacyTypeSystem: s.provider.Legacy,
	}
	config, err := object(schema, req.Config)
	if err != nil || config == nil {
		resp.Diagnostics = diagnose(err)
		return resp, nil
	}
	prior, err := object(schema, req.PriorState)
	if err != nil {
		resp.Diagnostics = diagnose(err)
		return resp, nil
	}
	p := &planner{rules: r.Rules, legacy: s.provider.Legacy}
	plan := &Plan{Config: config, Prior: prior, Planned: p.block("", schema.Block, config, prior)}
	if r.Customize != nil {
		r.Customize(plan)
	}
	if prior != nil {
		resp.RequiresReplace = p.replaced(schema.Block, prior, plan.Planned)
	}
	if r.Timeouts != nil {
		resp.PlannedPrivate = timeoutsPrivate(r, schema, config)
	}
	resp.PlannedState, err = dynamic(schema, plan.Planned)
	resp.Diagnostics = diagnose(err)
	return resp, nil
}

// timeoutsKey is where hashicorp/aws keeps a resource's timeouts beside its state.
const timeoutsKey = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0"

func timeoutsPrivate(r *Resource, schema *tfprotov5.Schema, config Object) []byte {
	timeouts := maps.Clone(r.Timeouts)
	configured, _ := config["timeouts"].(Object)
	for operation := range timeouts {
		if d, err := time.ParseDuration(configured.String(operation)); err == nil {
			timeouts[operation] = d
		}
	}
	meta := map[string]any{timeoutsKey: timeouts}
	if schema.Version > 0 {
		meta["schema_version"] = strconv.FormatInt(schema.Version, 10)
	}
	private, err := json.Marshal(meta)
	if err != nil {
		panic(err)
	}
	return private
}

func timeout(r *Resource, private []byte, operation string) time.Duration {
	const fallback = 20 * time.Minute
	var meta map[string]json.RawMessage
	var stored map[string]time.Duration
	if json.Unmarshal(private, &meta) == nil && json.Unmarshal(meta[timeoutsKey], &stored) == nil && stored[operation] > 0 {
		return stored[operation]
	}
	if d := r.Timeouts[operation]; d > 0 {
		return d
	}
	return fallback
}

func (s *Server) ApplyResourceChange(ctx context.Context, req *tfprotov5.ApplyResourceChangeRequest) (*tfprotov5.ApplyResourceChangeResponse, error) {
	r, schema, err := s.resource(req.TypeName)
	if err != nil {
		return nil, err
	}
	resp := &tfprotov5.ApplyResourceChangeResponse{
		NewState: req.PriorState, Private: req.PlannedPrivate,
		//lint:ignore SA1019 as in the plan
		UnsafeToUseLegacyTypeSystem: s.provider.Legacy,
	}
	var values [3]Object
	for i, dv := range []*tfprotov5.DynamicValue{req.PriorState, req.PlannedState, req.Config} {
		if values[i], err = object(schema, dv); err != nil {
			resp.Diagnostics = diagnose(err)
			return resp, nil
		}
	}
	state, err := s.apply(ctx, r, schema, values[0], values[1], values[2], req.PlannedPrivate)
	resp.Diagnostics = diagnose(err)
	if resp.NewState, err = dynamic(schema, state); err != nil {
		resp.Diagnostics = append(resp.Diagnostics, diagnose(err)...)
	}
	return resp, nil
}

// apply carries out a change, and returns what is to be stored, also when it failed on the way.
func (s *Server) apply(ctx context.Context, r *Resource, schema *tfprotov5.Schema, prior, planned, config Object, private []byte) (Object, error) {
	if planned == nil {
		if err := r.Delete(ctx, prior, timeout(r, private, "delete")); err != nil {
			return prior, err
		}
		return nil, nil
	}
	change := &Change{Config: config, Prior: prior, State: known(planned).(Object)}
	if prior == nil {
		change.Timeout = timeout(r, private, "create")
		err := r.Create(ctx, change)
		if err == nil {
			err = reread(ctx, r, change.State)
		}
		if err != nil && !change.State.Has("id") {
			return nil, err
		}
		s.settleApplied(schema, change.State, planned)
		return change.State, err
	}
	change.Timeout = timeout(r, private, "update")
	err := r.Update(ctx, change)
	if err == nil {
		err = reread(ctx, r, change.State)
	}
	if err != nil {
		// What the update reached shows at the next refresh; what cannot be read must be tried again.
		return prior, err
	}
	s.settleApplied(schema, change.State, planned)
	return change.State, nil
}

// reread completes the state of what was just changed.
func reread(ctx context.Context, r *Resource, state Object) error {
	found, err := r.Read(ctx, state)
	if err == nil && !found {
		err = fmt.Errorf("%s is not there right after it was changed", state.String("id"))
	}
	return err
}

// settleApplied leaves null and empty as they were planned. What was still unknown may become either.
func (s *Server) settleApplied(schema *tfprotov5.Schema, state, planned Object) {
	if !s.provider.Legacy {
		return
	}
	for name, t := range schema.ValueType().(tftypes.Object).AttributeTypes {
		if !hasUnknown(planned[name]) {
			state[name] = settle(state[name], planned[name], t, true)
		}
	}
}

func (s *Server) ImportResourceState(_ context.Context, req *tfprotov5.ImportResourceStateRequest) (*tfprotov5.ImportResourceStateResponse, error) {
	r, schema, err := s.resource(req.TypeName)
	if err != nil {
		return nil, err
	}
	resp := &tfprotov5.ImportResourceStateResponse{}
	state, err := r.Import(req.ID)
	if err != nil {
		resp.Diagnostics = diagnose(err)
		return resp, nil
	}
	// Nested lists and sets of blocks are never null.
	for _, n := range schema.Block.BlockTypes {
		if n.Nesting != tfprotov5.SchemaNestedBlockNestingModeSingle && state[n.TypeName] == nil {
			state[n.TypeName] = []any{}
		}
	}
	imported := &tfprotov5.ImportedResource{TypeName: req.TypeName}
	if r.Timeouts != nil {
		imported.Private = timeoutsPrivate(r, schema, nil)
	}
	imported.State, err = dynamic(schema, state)
	resp.Diagnostics = diagnose(err)
	resp.ImportedResources = []*tfprotov5.ImportedResource{imported}
	return resp, nil
}

func (s *Server) ValidateDataSourceConfig(context.Context, *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	return &tfprotov5.ValidateDataSourceConfigResponse{}, nil
}

func (s *Server) ReadDataSource(ctx context.Context, req *tfprotov5.ReadDataSourceRequest) (*tfprotov5.ReadDataSourceResponse, error) {
	read, ok := s.provider.DataSources[req.TypeName]
	schema := s.provider.Schemas.DataSources[req.TypeName]
	if !ok || schema == nil {
		return nil, fmt.Errorf("this provider has no data source %s", req.TypeName)
	}
	resp := &tfprotov5.ReadDataSourceResponse{}
	state, err := object(schema, req.Config)
	if err == nil {
		err = read(ctx, state)
	}
	if err != nil {
		resp.Diagnostics = diagnose(err)
		return resp, nil
	}
	resp.State, err = dynamic(schema, state)
	resp.Diagnostics = diagnose(err)
	return resp, nil
}

// object decodes a value; null is nil.
func object(schema *tfprotov5.Schema, dv *tfprotov5.DynamicValue) (Object, error) {
	if dv == nil {
		return nil, nil
	}
	v, err := dv.Unmarshal(schema.ValueType())
	if err != nil {
		return nil, fmt.Errorf("decoding a value from Terraform: %w", err)
	}
	o, _ := decode(v).(Object)
	return o, nil
}

// dynamic encodes a value; nil is null.
func dynamic(schema *tfprotov5.Schema, o Object) (*tfprotov5.DynamicValue, error) {
	t := schema.ValueType()
	var v any
	if o != nil {
		v = o
	}
	dv, err := tfprotov5.NewDynamicValue(t, encode(t, v))
	if err != nil {
		return nil, fmt.Errorf("encoding a value for Terraform: %w", err)
	}
	return &dv, nil
}
