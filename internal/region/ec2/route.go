package ec2

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// otherTargets are the parameters of CreateRoute and ReplaceRoute that would need
// what this region does not have.
var otherTargets = []string{
	"DestinationIpv6CidrBlock", "DestinationPrefixListId", "NatGatewayId", "InstanceId", "NetworkInterfaceId", "TransitGatewayId",
	"VpcPeeringConnectionId", "VpcEndpointId", "EgressOnlyInternetGatewayId", "CarrierGatewayId", "LocalGatewayId", "CoreNetworkArn",
	"OdbNetworkArn", "LocalTarget",
}

// CreateRoute adds a route to the internet gateway of the VPC.
func (a *API) CreateRoute(ctx context.Context, in *api.CreateRouteInput) (*api.CreateRouteOutput, error) {
	route, err := routeOf(in, in.DestinationCidrBlock, in.GatewayId)
	if err != nil {
		return nil, err
	}
	err = a.changeRoutes(ctx, aws.ToString(in.RouteTableId), route, func(routes []Route, i int) ([]Route, error) {
		if i >= 0 {
			return nil, awswire.BadRequestf("RouteAlreadyExists", "The route identified by %s already exists.", route.CIDR)
		}
		if len(routes) >= maxRoutes {
			return nil, awswire.BadRequestf("RouteLimitExceeded", "The maximum number of routes has been reached.")
		}
		return append(routes, route), nil
	})
	return &api.CreateRouteOutput{Return: aws.Bool(true)}, err
}

// ReplaceRoute changes where a route leads.
func (a *API) ReplaceRoute(ctx context.Context, in *api.ReplaceRouteInput) (*api.ReplaceRouteOutput, error) {
	route, err := routeOf(in, in.DestinationCidrBlock, in.GatewayId)
	if err != nil {
		return nil, err
	}
	return nil, a.changeRoutes(ctx, aws.ToString(in.RouteTableId), route, func(routes []Route, i int) ([]Route, error) {
		if i < 0 {
			return nil, noRoute(route.CIDR, aws.ToString(in.RouteTableId))
		}
		routes[i] = route
		return routes, nil
	})
}

// DeleteRoute removes a route.
func (a *API) DeleteRoute(ctx context.Context, in *api.DeleteRouteInput) (*api.DeleteRouteOutput, error) {
	if in.DestinationIpv6CidrBlock != nil || in.DestinationPrefixListId != nil {
		return nil, noRoute(aws.ToString(in.DestinationIpv6CidrBlock)+aws.ToString(in.DestinationPrefixListId), aws.ToString(in.RouteTableId))
	}
	cidr, err := destination(in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	return nil, a.changeRoutes(ctx, aws.ToString(in.RouteTableId), Route{CIDR: cidr}, func(routes []Route, i int) ([]Route, error) {
		if i < 0 {
			return nil, noRoute(cidr, aws.ToString(in.RouteTableId))
		}
		return slices.Delete(routes, i, i+1), nil
	})
}

func noRoute(cidr, table string) error {
	return awswire.BadRequestf("InvalidRoute.NotFound",
		"no route with destination-cidr-block %.60s in route table %.60s", cidr, table)
}

// routeOf is a route to a gateway; there is nothing else here that it may lead to.
func routeOf(in any, cidr, gateway *string) (Route, error) {
	for _, name := range otherTargets {
		if field := reflect.ValueOf(in).Elem().FieldByName(name); field.IsValid() && !field.IsNil() {
			return Route{}, awswire.BadRequestf("UnsupportedOperation", "Routes of this region lead to internet gateways only: %s is not possible.", name)
		}
	}
	to, err := destination(cidr)
	if err != nil {
		return Route{}, err
	}
	if aws.ToString(gateway) == "" {
		return Route{}, awswire.BadRequestf("MissingParameter", "The request must contain the parameter gatewayId")
	}
	if !strings.HasPrefix(*gateway, "igw-") {
		return Route{}, noGateway(*gateway)
	}
	return Route{CIDR: to, GatewayID: *gateway}, nil
}

func destination(cidr *string) (string, error) {
	if aws.ToString(cidr) == "" {
		return "", awswire.BadRequestf("MissingParameter", "The request must contain the parameter destinationCidrBlock")
	}
	p, err := netip.ParsePrefix(*cidr)
	if err != nil || !p.Addr().Is4() {
		return "", awswire.InvalidParameterValue("Value (%.60s) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.", *cidr)
	}
	return p.Masked().String(), nil
}

// changeRoutes gives f a table's routes, with the index of that to the same
// destination or -1. The route inside of the VPC cannot be changed, and a gateway
// must be the VPC's.
func (a *API) changeRoutes(ctx context.Context, table string, route Route, f func(routes []Route, i int) ([]Route, error)) error {
	return a.change(ctx, withTable(table), noTable(table), func(n *Network) ([]state.Op, error) {
		if route.CIDR == n.CIDR {
			return nil, awswire.InvalidParameterValue("The route to %s inside of the VPC cannot be created, replaced or removed.", route.CIDR)
		}
		if route.GatewayID != "" && route.GatewayID != n.InternetGatewayID {
			if _, err := a.gateway(ctx, route.GatewayID); err != nil {
				return nil, err
			}
			return nil, awswire.InvalidParameterValue("route table %s and network gateway %s belong to different networks", table, route.GatewayID)
		}
		n.RouteTables = slices.Clone(n.RouteTables)
		t := &n.RouteTables[n.tableIndex(table)]
		routes := slices.Clone(t.Routes)
		changed, err := f(routes, slices.IndexFunc(routes, func(r Route) bool { return r.CIDR == route.CIDR }))
		t.Routes = changed
		return nil, err
	})
}
