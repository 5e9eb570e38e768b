package awswire_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/smithy-go"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
)

func TestEC2RefusesParametersThatItDoesNotKnow(t *testing.T) {
	s := awswire.EC2()
	awswire.RegisterClient(s, &ec2.Client{}, func(name string) bool { return name == "CreateVpc" })
	for form, want := range map[string]string{
		"CidrBlock=a":                                        "",
		"CidrBlock=a&X-Amz-Date=x":                           "",
		"CidrBlock=a&cidrBlock=b":                            "cidrBlock",
		"CidrBlock=a&Item.1.Key=b":                           "Item",
		"TagSpecification.1.Tag.1.Key=a":                     "",
		"TagSpecification.1.Tag.1.Name=a":                    "TagSpecification.1.Tag.1.Name",
		"TagSpecification.1.Tag.1.Key=a&Zone=a&Attachment=b": "Attachment",
	} {
		_, err := awswire.DecodeQuery(s, "CreateVpc", []byte("Action=CreateVpc&Version=2016-11-15&"+form))
		e, refused := err.(*awswire.Error)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", form, err)
		case want != "" && (!refused || e.Status != 400 || e.Code != "UnknownParameter" || e.Message != "The parameter "+want+" is not recognized"):
			t.Errorf("%s: %v", form, err)
		}
	}
}

func TestOtherServicesLeaveOutWhatTheyDoNotKnowAsAWSDoes(t *testing.T) {
	relational := awswire.RDS()
	awswire.RegisterClient(relational, &rds.Client{}, all)
	if _, err := awswire.DecodeQuery(relational, "DescribeDBClusters", []byte("Action=DescribeDBClusters&Version=2014-10-31&Nothing=1")); err != nil {
		t.Error(err)
	}
	keys := awswire.KMS()
	awswire.RegisterClient(keys, &kms.Client{}, all)
	if _, err := awswire.DecodeJSON(keys, "DescribeKey", []byte(`{"KeyId":"a","Nothing":1}`)); err != nil {
		t.Error(err)
	}
}

func TestMembersThatARegionLacksAreRefusedInTheWordsOfTheirService(t *testing.T) {
	relational, keys, network := awswire.RDS(), awswire.KMS(), awswire.EC2()
	awswire.RegisterClient(relational, &rds.Client{}, all)
	awswire.RegisterClient(keys, &kms.Client{}, all)
	awswire.RegisterClient(network, &ec2.Client{}, network.HasTypes)
	relational = relational.Replace(func(context.Context, string, any) (any, error) { return &rds.DescribeDBClustersOutput{}, nil })
	relational.Lack("DescribeDBClusters", "IncludeShared")
	keys.Lack("DescribeKey", "GrantTokens")
	network.Lack("CreateVpc", "Ipv6NetmaskLength")
	cfg := wiretest.Serve(t, relational, keys, network)
	for name, c := range map[string]struct {
		code string
		call func() error
	}{
		"a Query service": {"InvalidParameterCombination", func() error {
			_, err := rds.NewFromConfig(cfg).DescribeDBClusters(t.Context(), &rds.DescribeDBClustersInput{IncludeShared: aws.Bool(true)})
			return err
		}},
		"a JSON service": {"ValidationException", func() error {
			_, err := kms.NewFromConfig(cfg).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("a"), GrantTokens: []string{"b"}})
			return err
		}},
		"EC2": {"UnsupportedOperation", func() error {
			_, err := ec2.NewFromConfig(cfg).CreateVpc(t.Context(), &ec2.CreateVpcInput{Ipv6NetmaskLength: aws.Int32(64)})
			return err
		}},
		"what asks for nothing": {"", func() error {
			_, err := rds.NewFromConfig(cfg).DescribeDBClusters(t.Context(), &rds.DescribeDBClustersInput{IncludeShared: aws.Bool(false)})
			return err
		}},
	} {
		wantCode(t, name, c.call(), c.code)
	}
}

// wantCode fails the test unless err is AWS's error of a code; "" is none.
func wantCode(t *testing.T, name string, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if code == "" && err != nil || code != "" && (!errors.As(err, &e) || e.ErrorCode() != code) {
		t.Errorf("%s: %v, want %q", name, err, code)
	}
}
