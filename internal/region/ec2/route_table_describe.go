package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// placedTable is a route table with its VPC.
type placedTable struct {
	network Network
	RouteTable
}

// DescribeRouteTables answers route tables.
func (a *API) DescribeRouteTables(ctx context.Context, in *api.DescribeRouteTablesInput) (*api.DescribeRouteTablesOutput, error) {
	networks, err := a.networks(ctx)
	if err != nil {
		return nil, err
	}
	var tables []placedTable
	for _, n := range networks {
		for _, t := range n.RouteTables {
			tables = append(tables, placedTable{n, t})
		}
	}
	tables, err = selected(tables, in.RouteTableIds, func(t placedTable) string { return t.ID }, noTable)
	if err != nil {
		return nil, err
	}
	tags, err := a.tagsOf(ctx, network(ctx))
	if err != nil {
		return nil, err
	}
	tables, err = filtered(tables, in.Filters, func(t placedTable) attributes { return t.attributes().tagged(tags[t.ID]) })
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(tables, in.NextToken, in.MaxResults, pages(), func(t placedTable) string { return t.ID })
	out := &api.DescribeRouteTablesOutput{NextToken: next}
	for _, t := range page {
		out.RouteTables = append(out.RouteTables, wireTable(t, tags[t.ID]))
	}
	return out, err
}

func (t placedTable) attributes() attributes {
	a := attributes{
		"route-table-id": {t.ID}, "vpc-id": {t.network.VpcID}, "owner-id": {t.network.Account},
		"association.main": {truth(t.ID == t.network.MainRouteTableID)}, "association.gateway-id": nil,
		"association.route-table-association-id": nil, "association.route-table-id": nil, "association.subnet-id": nil,
		"route.destination-ipv6-cidr-block": nil, "route.destination-prefix-list-id": nil, "route.nat-gateway-id": nil,
		"route.instance-id": nil, "route.transit-gateway-id": nil, "route.vpc-peering-connection-id": nil,
	}
	for _, as := range t.associations() {
		add(a, "association.route-table-association-id", as.RouteTableAssociationId)
		add(a, "association.route-table-id", as.RouteTableId)
		add(a, "association.subnet-id", as.SubnetId)
	}
	for _, r := range t.routes() {
		add(a, "route.destination-cidr-block", r.DestinationCidrBlock)
		add(a, "route.gateway-id", r.GatewayId)
		add(a, "route.origin", aws.String(string(r.Origin)))
		add(a, "route.state", aws.String(string(r.State)))
	}
	return a
}

func add(a attributes, name string, value *string) {
	if value != nil {
		a[name] = append(a[name], *value)
	}
}

// associations are those of the VPC, if this is its main table, and of subnets.
func (t placedTable) associations() []types.RouteTableAssociation {
	var all []types.RouteTableAssociation
	if t.ID == t.network.MainRouteTableID {
		all = append(all, types.RouteTableAssociation{
			Main: aws.Bool(true), RouteTableId: &t.ID, RouteTableAssociationId: &t.network.MainAssociationID, AssociationState: associated(),
		})
	}
	for _, s := range t.network.Subnets {
		if s.AssociationID != "" && s.RouteTableID == t.ID {
			all = append(all, types.RouteTableAssociation{
				Main: aws.Bool(false), RouteTableId: &t.ID, RouteTableAssociationId: &s.AssociationID, SubnetId: &s.ID, AssociationState: associated(),
			})
		}
	}
	return all
}

// routes are that inside of the VPC and those of the table. A route to a gateway
// that is not attached any more leads nowhere.
func (t placedTable) routes() []types.Route {
	all := []types.Route{{
		DestinationCidrBlock: &t.network.CIDR, GatewayId: aws.String("local"), Origin: types.RouteOriginCreateRouteTable, State: types.RouteStateActive,
	}}
	for _, r := range t.Routes {
		state := types.RouteStateActive
		if r.GatewayID != t.network.InternetGatewayID {
			state = types.RouteStateBlackhole
		}
		all = append(all, types.Route{DestinationCidrBlock: &r.CIDR, GatewayId: &r.GatewayID, Origin: types.RouteOriginCreateRoute, State: state})
	}
	return all
}

func wireTable(t placedTable, tags []aurora.Tag) types.RouteTable {
	return types.RouteTable{
		RouteTableId: &t.ID, VpcId: &t.network.VpcID, OwnerId: &t.network.Account, Tags: wireTags(tags),
		Associations: t.associations(), PropagatingVgws: []types.PropagatingVgw{}, Routes: t.routes(),
	}
}
