package ec2

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// internetGateway is stored under region/ec2-internet-gateways, by account, region
// and id. Which VPC it is attached to stands in the VPC; the value is written
// again when that changes, so that two changes cannot miss each other.
type internetGateway struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	Region  string `json:"region"`
}

func (g internetGateway) key() string { return g.Account + "/" + g.Region + "/" + g.ID }

func noGateway(id string) error {
	return awswire.BadRequestf("InvalidInternetGatewayID.NotFound", "The internetGateway ID '%.60s' does not exist", id)
}

// gateway is one of the caller's that is stored: not that of the default VPC.
func (a *API) gateway(ctx context.Context, id string) (state.Item[internetGateway], error) {
	n := network(ctx)
	if id == n.InternetGatewayID {
		return state.Item[internetGateway]{}, awswire.BadRequestf("OperationNotPermitted", "The internet gateway of the default VPC always stays what it is.")
	}
	item, err := a.gateways.Get(ctx, internetGateway{ID: id, Account: n.Account, Region: n.Region}.key())
	if errors.Is(err, state.ErrNotFound) {
		return item, noGateway(id)
	}
	return item, err
}

// CreateInternetGateway makes a gateway that is not attached yet.
func (a *API) CreateInternetGateway(ctx context.Context, in *api.CreateInternetGatewayInput) (*api.CreateInternetGatewayOutput, error) {
	tags, err := specifiedTags(in.TagSpecifications, types.ResourceTypeInternetGateway)
	if err != nil {
		return nil, err
	}
	n := network(ctx)
	items, _, err := a.gateways.List(ctx, n.Account+"/"+n.Region+"/")
	if err != nil {
		return nil, err
	}
	if len(items) >= maxVPCs {
		return nil, awswire.BadRequestf("InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached.")
	}
	g := internetGateway{ID: newID("igw"), Account: n.Account, Region: n.Region}
	_, err = a.store.Commit(ctx, a.gateways.PutOp(g.key(), g, 0), a.putTags(n, g.ID, tags))
	return &api.CreateInternetGatewayOutput{InternetGateway: new(wireGateway(attachedGateway{internetGateway: g}, tags))}, err
}

// DeleteInternetGateway removes a gateway that is not attached.
func (a *API) DeleteInternetGateway(ctx context.Context, in *api.DeleteInternetGatewayInput) (*api.DeleteInternetGatewayOutput, error) {
	item, err := a.gateway(ctx, aws.ToString(in.InternetGatewayId))
	if err != nil {
		return nil, err
	}
	all, err := a.allGateways(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range all {
		if g.ID == item.Value.ID && g.vpc != "" {
			return nil, awswire.BadRequestf("DependencyViolation", "The internetGateway '%s' has dependencies and cannot be deleted.", g.ID)
		}
	}
	ops, err := a.dropTags(ctx, network(ctx), item.Value.ID)
	if err != nil {
		return nil, err
	}
	_, err = a.store.Commit(ctx, append(ops, a.gateways.DeleteOp(item.Key, item.Revision))...)
	if errors.Is(err, state.ErrConflict) {
		return a.DeleteInternetGateway(ctx, in)
	}
	return nil, err
}

// AttachInternetGateway attaches a gateway to a VPC that has none.
func (a *API) AttachInternetGateway(ctx context.Context, in *api.AttachInternetGatewayInput) (*api.AttachInternetGatewayOutput, error) {
	id, vpc := aws.ToString(in.InternetGatewayId), aws.ToString(in.VpcId)
	return nil, a.change(ctx, withVPC(vpc), noVPC(vpc), func(n *Network) ([]state.Op, error) {
		item, err := a.gateway(ctx, id)
		if err != nil {
			return nil, err
		}
		if n.InternetGatewayID != "" {
			return nil, awswire.InvalidParameterValue("Network %s already has an internet gateway attached", vpc)
		}
		all, err := a.allGateways(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range all {
			if g.ID == id && g.vpc != "" {
				return nil, awswire.BadRequestf("Resource.AlreadyAssociated", "resource %s is already attached to network %s", id, g.vpc)
			}
		}
		n.InternetGatewayID = id
		return []state.Op{a.gateways.PutOp(item.Key, item.Value, item.Revision)}, nil
	})
}

// DetachInternetGateway takes a gateway from its VPC; routes to it lead nowhere then.
func (a *API) DetachInternetGateway(ctx context.Context, in *api.DetachInternetGatewayInput) (*api.DetachInternetGatewayOutput, error) {
	id, vpc := aws.ToString(in.InternetGatewayId), aws.ToString(in.VpcId)
	return nil, a.change(ctx, withVPC(vpc), noVPC(vpc), func(n *Network) ([]state.Op, error) {
		item, err := a.gateway(ctx, id)
		if err != nil {
			return nil, err
		}
		if n.InternetGatewayID != id {
			return nil, awswire.BadRequestf("Gateway.NotAttached", "resource %s is not attached to network %s", id, vpc)
		}
		n.InternetGatewayID = ""
		return []state.Op{a.gateways.PutOp(item.Key, item.Value, item.Revision)}, nil
	})
}

// attachedGateway is a gateway with the VPC that it is attached to, if any.
type attachedGateway struct {
	internetGateway
	vpc string
}

// allGateways are the caller's, with that of the default VPC.
func (a *API) allGateways(ctx context.Context) ([]attachedGateway, error) {
	networks, err := a.networks(ctx)
	if err != nil {
		return nil, err
	}
	n := network(ctx)
	items, _, err := a.gateways.List(ctx, n.Account+"/"+n.Region+"/")
	all := []attachedGateway{{internetGateway{ID: n.InternetGatewayID, Account: n.Account, Region: n.Region}, n.VpcID}}
	for _, item := range items {
		g := attachedGateway{internetGateway: item.Value}
		for _, n := range networks {
			if n.InternetGatewayID == g.ID {
				g.vpc = n.VpcID
			}
		}
		all = append(all, g)
	}
	return all, err
}

// DescribeInternetGateways answers gateways.
func (a *API) DescribeInternetGateways(ctx context.Context, in *api.DescribeInternetGatewaysInput) (*api.DescribeInternetGatewaysOutput, error) {
	all, err := a.allGateways(ctx)
	if err != nil {
		return nil, err
	}
	all, err = selected(all, in.InternetGatewayIds, func(g attachedGateway) string { return g.ID }, noGateway)
	if err != nil {
		return nil, err
	}
	tags, err := a.tagsOf(ctx, network(ctx))
	if err != nil {
		return nil, err
	}
	all, err = filtered(all, in.Filters, func(g attachedGateway) attributes {
		a := attributes{"internet-gateway-id": {g.ID}, "owner-id": {g.Account}, "attachment.vpc-id": nil, "attachment.state": nil}
		if g.vpc != "" {
			a["attachment.vpc-id"], a["attachment.state"] = []string{g.vpc}, []string{"available"}
		}
		return a.tagged(tags[g.ID])
	})
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(all, in.NextToken, in.MaxResults, pages(), func(g attachedGateway) string { return g.ID })
	out := &api.DescribeInternetGatewaysOutput{NextToken: next}
	for _, g := range page {
		out.InternetGateways = append(out.InternetGateways, wireGateway(g, tags[g.ID]))
	}
	return out, err
}

func wireGateway(g attachedGateway, tags []aurora.Tag) types.InternetGateway {
	wire := types.InternetGateway{InternetGatewayId: &g.ID, OwnerId: &g.Account, Tags: wireTags(tags), Attachments: []types.InternetGatewayAttachment{}}
	if g.vpc != "" {
		wire.Attachments = append(wire.Attachments, types.InternetGatewayAttachment{VpcId: &g.vpc, State: "available"})
	}
	return wire
}
