package awswire_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rdsdata"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
)

func all(string) bool { return true }

func TestRealClientsUnderstandEveryActionOfRDS(t *testing.T) {
	s := awswire.RDS()
	awswire.RegisterClient(s, &rds.Client{}, all)
	wiretest.Roundtrip(t, s, func(c aws.Config) *rds.Client { return rds.NewFromConfig(c) })
}

func TestRealClientsUnderstandTheActionsOfEC2InTheModel(t *testing.T) {
	s := awswire.EC2()
	awswire.RegisterClient(s, &ec2.Client{}, s.HasTypes)
	wiretest.Roundtrip(t, s, func(c aws.Config) *ec2.Client { return ec2.NewFromConfig(c) })
}

func TestRealClientsUnderstandEveryActionOfIAM(t *testing.T) {
	s := awswire.IAM()
	awswire.RegisterClient(s, &iam.Client{}, func(operation string) bool {
		return operation != "SimulatePrincipalPolicy" // its input has a union
	})
	wiretest.Roundtrip(t, s, func(c aws.Config) *iam.Client { return iam.NewFromConfig(c) })
}

func TestRealClientsUnderstandEveryActionOfKMS(t *testing.T) {
	s := awswire.KMS()
	awswire.RegisterClient(s, &kms.Client{}, all)
	wiretest.Roundtrip(t, s, func(c aws.Config) *kms.Client { return kms.NewFromConfig(c) })
}

func TestRealClientsUnderstandEveryActionOfSecretsManager(t *testing.T) {
	s := awswire.SecretsManager()
	awswire.RegisterClient(s, &secretsmanager.Client{}, all)
	wiretest.Roundtrip(t, s, func(c aws.Config) *secretsmanager.Client { return secretsmanager.NewFromConfig(c) })
}

func TestRealClientsUnderstandEveryActionOfSNS(t *testing.T) {
	s := awswire.SNS()
	awswire.RegisterClient(s, &sns.Client{}, all)
	wiretest.Roundtrip(t, s, func(c aws.Config) *sns.Client { return sns.NewFromConfig(c) })
}

func TestRealClientsUnderstandEverySignedActionOfSTS(t *testing.T) {
	s := awswire.STS()
	awswire.RegisterClient(s, &sts.Client{}, func(operation string) bool {
		return operation != "AssumeRoleWithSAML" && operation != "AssumeRoleWithWebIdentity"
	})
	wiretest.Roundtrip(t, s, func(c aws.Config) *sts.Client { return sts.NewFromConfig(c) })
}

func TestRealClientsUnderstandEveryActionOfTheDataAPI(t *testing.T) {
	s := awswire.RDSData()
	awswire.RegisterClient(s, &rdsdata.Client{}, func(operation string) bool {
		return operation != "ExecuteSql" // which is deprecated, and refused
	})
	wiretest.Roundtrip(t, s, func(c aws.Config) *rdsdata.Client { return rdsdata.NewFromConfig(c) })
}
