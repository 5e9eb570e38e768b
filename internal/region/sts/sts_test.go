package sts_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/sts"
)

func TestCallersLearnWhoTheyAreInAnyRegion(t *testing.T) {
	cfg := wiretest.Serve(t, sts.New())
	for _, region := range []string{"us-west-2", "local-1", "us-gov-east-1"} {
		cfg.Region = region
		out, err := api.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(out.Account) != wiretest.Account || aws.ToString(out.Arn) != wiretest.UserARN || aws.ToString(out.UserId) == "" {
			t.Errorf("identity %+v", out)
		}
	}
}

func TestAPresignedURLOfGetCallerIdentityWorksWithoutASigner(t *testing.T) {
	cfg := wiretest.Serve(t, sts.New())
	signed, err := api.NewPresignClient(api.NewFromConfig(cfg)).PresignGetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(signed.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "<Account>"+wiretest.Account+"</Account>") {
		t.Errorf("%s %v: %s", resp.Status, err, body)
	}
}
