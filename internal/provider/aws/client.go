package aws

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// A client holds the API clients of a configured provider. It is filled once, before any resource is used.
type client struct {
	region, partition, account string

	rds     *rds.Client
	ec2     *ec2.Client
	sts     *sts.Client
	scaling *applicationautoscaling.Client
	tags    tagRules
	names   names
}

// notHere are arguments of the provider block that change which account or network is used, so that passing
// over them in silence could hit the wrong one.
var notHere = []string{"assume_role_with_web_identity", "http_proxy", "https_proxy", "no_proxy"}

func (c *client) configure(ctx context.Context, block plugin.Object) error {
	for _, name := range notHere {
		if block.Has(name) {
			return &plugin.Problem{Attribute: name, Summary: name + " is not supported by the embedded provider",
				Detail: "Run with the provider from the registry instead."}
		}
	}
	cfg, err := loadConfig(ctx, block)
	if err != nil {
		return err
	}
	c.region, c.tags = cfg.Region, newTagRules(block)
	endpoints := endpointsOf(block)
	c.sts = sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.BaseEndpoint = override(o.BaseEndpoint, endpoints["sts"])
		if region := block.String("sts_region"); region != "" {
			o.Region = region
		}
	})
	if roles := block.Objects("assume_role"); len(roles) > 0 && roles[0].Has("role_arn") {
		cfg.Credentials = aws.NewCredentialsCache(assumeRole(c.sts, roles[0]))
		c.sts = sts.New(c.sts.Options(), func(o *sts.Options) { o.Credentials = cfg.Credentials })
	}
	c.rds = rds.NewFromConfig(cfg, func(o *rds.Options) { o.BaseEndpoint = override(o.BaseEndpoint, endpoints["rds"]) })
	c.ec2 = ec2.NewFromConfig(cfg, func(o *ec2.Options) { o.BaseEndpoint = override(o.BaseEndpoint, endpoints["ec2"]) })
	c.scaling = applicationautoscaling.NewFromConfig(cfg, func(o *applicationautoscaling.Options) {
		o.BaseEndpoint = override(override(o.BaseEndpoint, endpoints["applicationautoscaling"]), endpoints["appautoscaling"])
	})
	return c.identify(ctx, block)
}

func loadConfig(ctx context.Context, block plugin.Object) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer { return retryer(block) }),
		config.WithHTTPClient(httpClient(block)),
	}
	if block.Has("region") {
		options = append(options, config.WithRegion(block.String("region")))
	}
	if block.Has("profile") {
		options = append(options, config.WithSharedConfigProfile(block.String("profile")))
	}
	if files := block.Strings("shared_config_files"); files != nil {
		options = append(options, config.WithSharedConfigFiles(files))
	}
	if files := block.Strings("shared_credentials_files"); files != nil {
		options = append(options, config.WithSharedCredentialsFiles(files))
	}
	if block.Has("access_key") {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(
			block.String("access_key"), block.String("secret_key"), block.String("token"))))
	}
	if bundle := block.String("custom_ca_bundle"); bundle != "" {
		pem, err := os.Open(bundle)
		if err != nil {
			return aws.Config{}, &plugin.Problem{Attribute: "custom_ca_bundle", Summary: err.Error()}
		}
		defer pem.Close()
		options = append(options, config.WithCustomCABundle(pem))
	}
	if skip, err := strconv.ParseBool(block.String("skip_metadata_api_check")); err == nil && skip {
		options = append(options, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	if block.Bool("use_fips_endpoint") {
		options = append(options, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	if block.Bool("use_dualstack_endpoint") {
		options = append(options, config.WithUseDualStackEndpoint(aws.DualStackEndpointStateEnabled))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, fmt.Errorf("configuring the AWS client: %w", err)
	}
	if cfg.Region == "" {
		return cfg, &plugin.Problem{Attribute: "region", Summary: "Missing region configuration",
			Detail: "Set region in the provider block, or AWS_REGION."}
	}
	return cfg, nil
}

// retryer outlives a restart of the server. The original's 25 attempts with pauses of up to 20 seconds would
// make a server that does not know an action look like one that hangs.
func retryer(block plugin.Object) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 25
		if block.Has("max_retries") {
			o.MaxAttempts = int(block.Int("max_retries"))
		}
		o.MaxBackoff = time.Second
		o.RateLimiter = noRateLimit{}
	})
}

// noRateLimit lets every retry through: the number of attempts is the bound.
type noRateLimit struct{}

func (noRateLimit) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (noRateLimit) AddTokens(uint) error { return nil }

func httpClient(block plugin.Object) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		if block.Bool("insecure") {
			t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
		}
	})
}

// endpointsOf reads the endpoints blocks; there may be several.
func endpointsOf(block plugin.Object) map[string]string {
	all := map[string]string{}
	for _, e := range block.Objects("endpoints") {
		for service := range e {
			if url := e.String(service); url != "" {
				all[service] = url
			}
		}
	}
	return all
}

func override(from *string, to string) *string {
	if to == "" {
		return from
	}
	return &to
}

func assumeRole(client *sts.Client, role plugin.Object) aws.CredentialsProvider {
	return stscreds.NewAssumeRoleProvider(client, role.String("role_arn"), func(o *stscreds.AssumeRoleOptions) {
		if role.Has("session_name") {
			o.RoleSessionName = role.String("session_name")
		}
		if role.Has("external_id") {
			o.ExternalID = aws.String(role.String("external_id"))
		}
		if role.Has("policy") {
			o.Policy = aws.String(role.String("policy"))
		}
		if d, err := time.ParseDuration(role.String("duration")); err == nil {
			o.Duration = d
		}
	})
}

// identify asks for the account, which ARNs need, and checks that it is one of the allowed.
func (c *client) identify(ctx context.Context, block plugin.Object) error {
	c.partition = partitionOf(c.region)
	if block.Bool("skip_credentials_validation") && block.Bool("skip_requesting_account_id") {
		return nil
	}
	out, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return &plugin.Problem{Summary: "No valid credential sources found, or they were refused", Detail: err.Error()}
	}
	c.account = aws.ToString(out.Account)
	if a, err := arn.Parse(aws.ToString(out.Arn)); err == nil {
		c.partition = a.Partition
	}
	allowed, forbidden := block.Strings("allowed_account_ids"), block.Strings("forbidden_account_ids")
	if allowed != nil && !slices.Contains(allowed, c.account) || slices.Contains(forbidden, c.account) {
		return &plugin.Problem{Summary: "AWS account ID not allowed: " + c.account}
	}
	return nil
}

func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// failed says whether an error is one of AWS's with a code, and with a part of its message when one is given.
func failed(err error, code string, message ...string) bool {
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		return false
	}
	return len(message) == 0 || strings.Contains(api.ErrorMessage(), message[0])
}
