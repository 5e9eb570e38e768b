package workflow_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/stack"
)

// halfWay makes a security group and then fails.
const halfWay = stackText + `
resource "aws_security_group" "g" {
  name   = "static-name"
  vpc_id = "{{ $sys.deploymentCell.cloudProviderNetworkID }}"
}
resource "terraform_data" "later" {
  input = aws_security_group.g.id
  lifecycle {
    postcondition {
      condition     = self.output == "y"
      error_message = "half-way"
    }
  }
}
output "group" { value = aws_security_group.g.id }
`

// whole is the same stack once it is right.
var whole = strings.Replace(halfWay, `self.output == "y"`, `self.output != "y"`, 1)

// failedHalfWay is a deployment whose apply failed, so that nobody knows what
// it made.
func (f *fixture) failedHalfWay(text string) rest.Deployment {
	f.t.Helper()
	d, err := f.up(text, nil)
	if err != nil || d.Status != rest.StatusFailed {
		f.t.Fatalf("up: %v, %s: %s", err, d.Status, d.Message)
	}
	return d
}

func (f *fixture) down() rest.Deployment {
	f.t.Helper()
	run, err := f.engine.Down(f.t.Context(), "test")
	if err != nil {
		f.t.Fatal(err)
	}
	return f.await(run)
}

func (f *fixture) ec2() *ec2.Client {
	return ec2.New(ec2.Options{
		Region: "us-west-2", BaseEndpoint: &f.config.Region.Endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "test-secret-key", ""),
	})
}

// group makes a security group outside of Terraform; owner may be empty.
func (f *fixture) group(name, owner string) string {
	f.t.Helper()
	client := f.ec2()
	vpcs, err := client.DescribeVpcs(f.t.Context(), &ec2.DescribeVpcsInput{})
	if err != nil {
		f.t.Fatal(err)
	}
	in := &ec2.CreateSecurityGroupInput{GroupName: &name, Description: aws.String("Managed by Terraform"), VpcId: vpcs.Vpcs[0].VpcId}
	if owner != "" {
		in.TagSpecifications = []ec2types.TagSpecification{{
			ResourceType: ec2types.ResourceTypeSecurityGroup,
			Tags:         []ec2types.Tag{{Key: aws.String(stack.OwnerTag), Value: &owner}},
		}}
	}
	out, err := client.CreateSecurityGroup(f.t.Context(), in)
	if err != nil {
		f.t.Fatal(err)
	}
	return *out.GroupId
}

func (f *fixture) isThere(group string) bool {
	f.t.Helper()
	out, err := f.ec2().DescribeSecurityGroups(f.t.Context(), &ec2.DescribeSecurityGroupsInput{})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, g := range out.SecurityGroups {
		if *g.GroupId == group {
			return true
		}
	}
	return false
}

// withoutGroup is halfWay as it was before somebody added the group to it.
var withoutGroup = strings.Replace(halfWay[:strings.Index(halfWay, `resource "aws_`)]+
	halfWay[strings.Index(halfWay, `resource "terraform_data" "later"`):strings.Index(halfWay, `output "group"`)],
	"aws_security_group.g.id", `"x"`, 1)

// TestWhatAnInterruptedApplyMadeIsAdopted: what stands in AWS with the
// deployment's tag and not in its state was made by an apply that was killed.
func TestWhatAnInterruptedApplyMadeIsAdopted(t *testing.T) {
	f := newFixture(t)
	d := f.failedHalfWay(withoutGroup)
	group := f.group("static-name", d.ID)
	if d = f.mustUp(whole, nil); d.Outputs["group"] != group {
		t.Errorf("group %v, want %s adopted", d.Outputs["group"], group)
	}
	if d = f.down(); d.Status != "gone" || f.isThere(group) {
		t.Errorf("after down: %s: %s", d.Status, d.Message)
	}
}

// TestForeignResourceIsNeverTaken: the second run says whose way it is in, and
// down leaves it where it is.
func TestForeignResourceIsNeverTaken(t *testing.T) {
	f := newFixture(t)
	group := f.group("static-name", "instance-of-another")
	f.failedHalfWay(whole)
	if d := f.failedHalfWay(whole); !strings.Contains(d.Message, group) || !strings.Contains(d.Message, "not") {
		t.Errorf("the second run says: %s", d.Message)
	}
	if d := f.down(); d.Status != "gone" {
		t.Errorf("after down: %s: %s", d.Status, d.Message)
	}
	if !f.isThere(group) {
		t.Error("a foreign group was removed")
	}
}

// TestFailingPreconditionDoesNotStandInTheWayOfDown: what the state knows is removed, and
// down does not end while something with the deployment's tag is left.
func TestFailingPreconditionDoesNotStandInTheWayOfDown(t *testing.T) {
	f := newFixture(t)
	d := f.failedHalfWay(halfWay)
	f.failedHalfWay(strings.Replace(halfWay, "postcondition", `precondition {
      condition     = path.module == "moon"
      error_message = "no plan"
    }
    postcondition`, 1))
	forgotten := f.group("forgotten", d.ID)
	if d := f.down(); d.Status != rest.StatusFailed || !strings.Contains(d.Message, forgotten) {
		t.Errorf("down with something left: %s: %s", d.Status, d.Message)
	}
	if _, err := f.ec2().DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &forgotten}); err != nil {
		t.Fatal(err)
	}
	if d := f.down(); d.Status != "gone" {
		t.Errorf("after down: %s: %s", d.Status, d.Message)
	}
}
