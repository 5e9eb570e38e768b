package workflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daybreakdb/daybreak/internal/platform/render"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/stack"
)

// cell is where deployments of a target stand: an account, a region, a network.
type cell struct {
	aws    aws.Config
	target stack.Target
}

// cellOf returns the embedded region, or AWS with the server's own credentials.
func (e *Engine) cellOf(ctx context.Context, target string) (cell, error) {
	if target == rest.TargetEmbedded {
		r := e.Region
		return cell{target: r, aws: aws.Config{
			Region: r.Region, BaseEndpoint: aws.String(r.Endpoint),
			Credentials: credentials.NewStaticCredentialsProvider(r.AccessKey, r.SecretKey, ""),
		}}, nil
	}
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return cell{}, fmt.Errorf("AWS credentials: %w", err)
	}
	if c.Region == "" {
		return cell{}, invalid("no AWS region is set for the server", nil, "Start the server with AWS_REGION and credentials in its environment.")
	}
	return cell{aws: c, target: stack.Target{Region: c.Region}}, nil
}

// cellTimeout bounds how long finding out where a deployment stands may take.
const cellTimeout = 30 * time.Second

// place is where a deployment stands, and its $sys.
func (e *Engine) place(ctx context.Context, d *Deployment) (cell, render.System, error) {
	limited, cancel := context.WithTimeout(ctx, cellTimeout)
	defer cancel()
	c, err := e.cellOf(limited, d.Target)
	if err != nil {
		return c, render.System{}, err
	}
	sys, err := c.system(limited, d.ID, d.Name)
	if err == nil || ctx.Err() != nil {
		return c, sys, err
	}
	hint := "The embedded region does not answer as it should: daybreak server status"
	if d.Target == rest.TargetAWS {
		hint = "Is AWS reachable from here, and are the credentials in the server's environment right? It must be started with them."
	}
	return c, sys, &rest.Error{HTTPStatus: http.StatusBadGateway, Code: rest.CodeTarget, Message: err.Error(), Hint: hint}
}

// system is $sys of a deployment in this cell.
func (c cell) system(ctx context.Context, id, tenant string) (render.System, error) {
	s := render.System{
		ID: id, Region: c.target.Region, CloudProviderName: "aws", ResourceID: id, DeterministicSeed: id,
		TenantID: tenant, EnvironmentType: "PROD",
	}
	who, err := sts.NewFromConfig(c.aws).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return s, fmt.Errorf("ask AWS who we are: %w", err)
	}
	s.AccountID = aws.ToString(who.Account)
	client := ec2.NewFromConfig(c.aws)
	vpcs, err := client.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{
		Filters: []ec2types.Filter{{Name: aws.String("is-default"), Values: []string{"true"}}},
	})
	if err != nil {
		return s, fmt.Errorf("find the default VPC: %w", err)
	}
	if len(vpcs.Vpcs) == 0 {
		return s, errors.New("the account has no default VPC in " + s.Region)
	}
	s.NetworkID, s.CIDRRange = aws.ToString(vpcs.Vpcs[0].VpcId), aws.ToString(vpcs.Vpcs[0].CidrBlock)
	s.PublicSubnetIDs, err = publicSubnets(ctx, client, s.NetworkID)
	s.PrivateSubnetIDs = s.PublicSubnetIDs
	return s, err
}

// publicSubnets are the VPC's, one for each zone, in the order of zones.
func publicSubnets(ctx context.Context, client *ec2.Client, vpc string) ([]string, error) {
	out, err := client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{
		Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{vpc}}},
	})
	if err != nil {
		return nil, fmt.Errorf("find the subnets: %w", err)
	}
	slices.SortFunc(out.Subnets, func(a, b ec2types.Subnet) int {
		return strings.Compare(aws.ToString(a.AvailabilityZone), aws.ToString(b.AvailabilityZone))
	})
	var ids []string
	zone := ""
	for _, s := range out.Subnets {
		if aws.ToBool(s.MapPublicIpOnLaunch) && aws.ToString(s.AvailabilityZone) != zone {
			zone = aws.ToString(s.AvailabilityZone)
			ids = append(ids, aws.ToString(s.SubnetId))
		}
	}
	return ids, nil
}

func (c cell) finder(owner string) stack.Finder {
	return stack.Finder{Owner: owner, RDS: rds.NewFromConfig(c.aws), EC2: ec2.NewFromConfig(c.aws)}
}
