package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateRouteTable makes a table that only has the route inside of the VPC.
func (a *API) CreateRouteTable(ctx context.Context, in *api.CreateRouteTableInput) (*api.CreateRouteTableOutput, error) {
	tags, err := specifiedTags(in.TagSpecifications, types.ResourceTypeRouteTable)
	if err != nil {
		return nil, err
	}
	vpc, t := aws.ToString(in.VpcId), RouteTable{ID: newID("rtb")}
	var made types.RouteTable
	err = a.change(ctx, withVPC(vpc), noVPC(vpc), func(n *Network) ([]state.Op, error) {
		if len(n.RouteTables) >= maxRouteTables {
			return nil, awswire.BadRequestf("RouteTableLimitExceeded", "The maximum number of route tables has been reached.")
		}
		n.RouteTables = append(slices.Clone(n.RouteTables), t)
		made = wireTable(placedTable{*n, t}, tags)
		return []state.Op{a.putTags(*n, t.ID, tags)}, nil
	})
	return &api.CreateRouteTableOutput{RouteTable: &made, ClientToken: in.ClientToken}, err
}

// DeleteRouteTable removes a table that no subnet has.
func (a *API) DeleteRouteTable(ctx context.Context, in *api.DeleteRouteTableInput) (*api.DeleteRouteTableOutput, error) {
	id := aws.ToString(in.RouteTableId)
	return nil, a.change(ctx, withTable(id), noTable(id), func(n *Network) ([]state.Op, error) {
		if id == n.MainRouteTableID || slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.RouteTableID == id }) {
			return nil, awswire.BadRequestf("DependencyViolation", "The routeTable '%s' has dependencies and cannot be deleted.", id)
		}
		i := n.tableIndex(id)
		n.RouteTables = slices.Delete(slices.Clone(n.RouteTables), i, i+1)
		return a.dropTags(ctx, *n, id)
	})
}

func noTable(id string) error {
	return awswire.BadRequestf("InvalidRouteTableID.NotFound", "The routeTable ID '%.60s' does not exist", id)
}

// AssociateRouteTable gives a subnet a table in place of the main one.
func (a *API) AssociateRouteTable(ctx context.Context, in *api.AssociateRouteTableInput) (*api.AssociateRouteTableOutput, error) {
	if in.GatewayId != nil || in.PublicIpv4Pool != nil {
		return nil, awswire.BadRequestf("UnsupportedOperation", "Route tables of this region are associated with subnets only.")
	}
	table, subnet, id := aws.ToString(in.RouteTableId), aws.ToString(in.SubnetId), newID("rtbassoc")
	err := a.change(ctx, withTable(table), noTable(table), func(n *Network) ([]state.Op, error) {
		i := n.subnetIndex(subnet)
		if i < 0 {
			return nil, noSubnet(subnet)
		}
		if n.Subnets[i].AssociationID != "" {
			if n.Subnets[i].RouteTableID == table { // as AWS: asked again, answered again
				id = n.Subnets[i].AssociationID
				return nil, nil
			}
			return nil, awswire.BadRequestf("Resource.AlreadyAssociated",
				"the specified association for route table %s conflicts with an existing association", table)
		}
		n.Subnets = slices.Clone(n.Subnets)
		n.Subnets[i].RouteTableID, n.Subnets[i].AssociationID = table, id
		return nil, nil
	})
	return &api.AssociateRouteTableOutput{AssociationId: &id, AssociationState: associated()}, err
}

// DisassociateRouteTable gives a subnet the main table again.
func (a *API) DisassociateRouteTable(ctx context.Context, in *api.DisassociateRouteTableInput) (*api.DisassociateRouteTableOutput, error) {
	id := aws.ToString(in.AssociationId)
	return nil, a.change(ctx, withAssociation(id), noAssociation(id), func(n *Network) ([]state.Op, error) {
		if id == n.MainAssociationID {
			return nil, awswire.InvalidParameterValue("cannot disassociate the main route table association %s", id)
		}
		n.Subnets = slices.Clone(n.Subnets)
		s := &n.Subnets[n.associationIndex(id)]
		s.RouteTableID, s.AssociationID = "", ""
		return nil, nil
	})
}

// ReplaceRouteTableAssociation gives a subnet another table, or the VPC another
// main table.
func (a *API) ReplaceRouteTableAssociation(ctx context.Context, in *api.ReplaceRouteTableAssociationInput) (*api.ReplaceRouteTableAssociationOutput, error) {
	id, table, replaced := aws.ToString(in.AssociationId), aws.ToString(in.RouteTableId), newID("rtbassoc")
	err := a.change(ctx, withAssociation(id), noAssociation(id), func(n *Network) ([]state.Op, error) {
		if n.tableIndex(table) < 0 {
			return nil, noTable(table)
		}
		if id == n.MainAssociationID {
			n.MainRouteTableID, n.MainAssociationID = table, replaced
			return nil, nil
		}
		n.Subnets = slices.Clone(n.Subnets)
		s := &n.Subnets[n.associationIndex(id)]
		s.RouteTableID, s.AssociationID = table, replaced
		return nil, nil
	})
	return &api.ReplaceRouteTableAssociationOutput{NewAssociationId: &replaced, AssociationState: associated()}, err
}

func (n Network) associationIndex(id string) int {
	return slices.IndexFunc(n.Subnets, func(s Subnet) bool { return s.AssociationID == id })
}

func withAssociation(id string) func(Network) bool {
	return func(n Network) bool {
		return id != "" && (n.MainAssociationID == id || n.associationIndex(id) >= 0)
	}
}

func noAssociation(id string) error {
	return awswire.BadRequestf("InvalidAssociationID.NotFound", "The association ID '%.60s' does not exist", id)
}

func associated() *types.RouteTableAssociationState {
	return &types.RouteTableAssociationState{State: types.RouteTableAssociationStateCodeAssociated}
}
