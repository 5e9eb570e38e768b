package region_test

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/region"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

func TestOneAddressServesAllServicesAndRegions(t *testing.T) {
	h, err := region.New(t.Context(), region.Config{
		Store: statetest.Start(t), Credentials: wiretest.Credentials(),
		Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	cfg := wiretest.ClientConfig(server.URL)
	for _, name := range []string{"us-west-2", "eu-central-1", "local-1"} {
		cfg.Region = name
		if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil); err != nil {
			t.Error(err)
		}
		zones, err := ec2.NewFromConfig(cfg).DescribeAvailabilityZones(t.Context(), nil)
		if err != nil || *zones.AvailabilityZones[0].ZoneName != name+"a" {
			t.Errorf("zones %+v, %v", zones, err)
		}
	}
	_, err = ec2.NewFromConfig(cfg).CreateNatGateway(t.Context(), &ec2.CreateNatGatewayInput{})
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != "InvalidAction" || e.ErrorFault() == smithy.FaultServer {
		t.Errorf("an action that is not there: %v", err)
	}
}
