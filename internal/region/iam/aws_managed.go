package iam

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"strings"
	"time"
)

// grant is a policy of AWS's that Aurora stacks attach. Its document is ours: it
// allows what that policy is for, among the services of this region and those
// that a stack's other resources have on AWS.
type grant struct {
	path, name, description string
	actions                 []string
	notActions              []string
}

func grants() []grant {
	databases := []string{"rds:*", "application-autoscaling:*", "cloudwatch:*", "ec2:Describe*", "logs:DescribeLogStreams", "logs:GetLogEvents", "sns:ListSubscriptions", "sns:ListTopics", "sns:Publish"}
	reads := []string{"rds:Describe*", "rds:ListTagsForResource", "ec2:Describe*", "cloudwatch:GetMetricStatistics", "cloudwatch:GetMetricData", "logs:DescribeLogStreams", "logs:GetLogEvents"}
	return []grant{
		{path: "/", name: "AdministratorAccess", description: "Everything.", actions: []string{"*"}},
		{path: "/", name: "PowerUserAccess", description: "Everything but users, roles and policies.", notActions: []string{"iam:*", "organizations:*", "account:*"}},
		{path: "/", name: "ReadOnlyAccess", description: "Reading everything but values of secrets.", actions: []string{"rds:Describe*", "rds:List*", "ec2:Describe*", "iam:Get*", "iam:List*", "kms:Describe*", "kms:Get*", "kms:List*", "secretsmanager:Describe*", "secretsmanager:List*", "secretsmanager:GetResourcePolicy", "sns:Get*", "sns:List*", "logs:Describe*", "logs:Filter*", "logs:Get*", "logs:List*", "cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "application-autoscaling:Describe*", "sts:GetCallerIdentity"}},
		{path: "/", name: "IAMFullAccess", description: "Users, roles and policies.", actions: []string{"iam:*"}},
		{path: "/", name: "IAMReadOnlyAccess", description: "Reading users, roles and policies.", actions: []string{"iam:Get*", "iam:List*"}},
		{path: "/", name: "AmazonRDSFullAccess", description: "Databases.", actions: databases},
		{path: "/", name: "AmazonRDSReadOnlyAccess", description: "Reading databases' settings.", actions: reads},
		{path: "/", name: "AmazonRDSDataFullAccess", description: "The Data API, and the secrets that it takes.", actions: []string{"rds-data:*", "secretsmanager:GetSecretValue", "secretsmanager:PutResourcePolicy", "secretsmanager:PutSecretValue", "secretsmanager:DeleteSecret", "secretsmanager:DescribeSecret", "secretsmanager:TagResource", "secretsmanager:CreateSecret", "secretsmanager:ListSecrets", "secretsmanager:GetRandomPassword"}},
		{path: "/", name: "AmazonVPCFullAccess", description: "Networks.", actions: []string{"ec2:*"}},
		{path: "/", name: "AmazonSNSFullAccess", description: "Topics.", actions: []string{"sns:*"}},
		{path: "/", name: "SecretsManagerReadWrite", description: "Secrets.", actions: []string{"secretsmanager:*", "kms:DescribeKey", "kms:ListAliases", "kms:ListKeys", "rds:DescribeDBClusters", "rds:DescribeDBInstances"}},
		{path: "/", name: "CloudWatchLogsFullAccess", description: "Logs.", actions: []string{"logs:*"}},
		{path: "/", name: "CloudWatchLogsReadOnlyAccess", description: "Reading logs.", actions: []string{"logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents"}},
		{path: "/", name: "AmazonS3ReadOnlyAccess", description: "Reading objects.", actions: []string{"s3:Get*", "s3:List*"}},
		{path: "/", name: "AmazonS3FullAccess", description: "Objects.", actions: []string{"s3:*"}},
		{path: "/service-role/", name: "AmazonRDSEnhancedMonitoringRole", description: "What enhanced monitoring writes.", actions: []string{"logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams", "logs:GetLogEvents"}},
		{path: "/service-role/", name: "AmazonRDSDirectoryServiceAccess", description: "What Kerberos authentication needs.", actions: []string{"ds:DescribeDirectories", "ds:AuthorizeApplication", "ds:UnauthorizeApplication", "ds:GetAuthorizedApplicationDetails"}},
	}
}

// awsManagedPolicies are the policies of the account "aws".
func awsManagedPolicies() []Policy {
	made := time.Date(2015, 2, 6, 0, 0, 0, 0, time.UTC) // when AWS had managed policies
	var policies []Policy
	for _, g := range grants() {
		policies = append(policies, Policy{
			Account: "aws", Name: g.name, Path: g.path, ID: g.id(), Created: made, Updated: made,
			Description: g.description, Default: "v1", Versions: []Version{{ID: "v1", Document: g.document(), Created: made}},
		})
	}
	return policies
}

// id follows from the name, so that it is always the same.
func (g grant) id() string {
	sum := sha256.Sum256([]byte(g.name))
	return "ANPA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

func (g grant) document() string {
	statement := map[string]any{"Effect": "Allow", "Resource": "*"}
	if g.actions != nil {
		statement["Action"] = g.actions
	} else {
		statement["NotAction"] = g.notActions
	}
	text, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{statement}}) // texts always have JSON
	return string(text)
}

func awsManaged(arn string) (Policy, bool) {
	if !strings.HasPrefix(arn, "arn:aws:iam::aws:policy/") {
		return Policy{}, false
	}
	for _, p := range awsManagedPolicies() {
		if p.ARN() == arn {
			return p, true
		}
	}
	return Policy{}, false
}
