package rds_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

func TestVersionsAndClassesAreFiltered(t *testing.T) {
	r := start(t)
	for name, c := range map[string]struct {
		in   api.DescribeDBEngineVersionsInput
		want int
	}{
		"another engine":   {api.DescribeDBEngineVersionsInput{Engine: aws.String("mysql")}, 0},
		"another family":   {api.DescribeDBEngineVersionsInput{DBParameterGroupFamily: aws.String("aurora-postgresql14")}, 0},
		"one version":      {api.DescribeDBEngineVersionsInput{EngineVersion: aws.String("15.10")}, 1},
		"no such version":  {api.DescribeDBEngineVersionsInput{EngineVersion: aws.String("15.9")}, 0},
		"default of major": {api.DescribeDBEngineVersionsInput{EngineVersion: aws.String("15"), DefaultOnly: aws.Bool(true)}, 1},
		"by filters": {api.DescribeDBEngineVersionsInput{Filters: []types.Filter{
			{Name: aws.String("engine-version"), Values: []string{"15.10", "15.12"}}, {Name: aws.String("status"), Values: []string{"available"}}}}, 2},
		"by a mode that is not here": {api.DescribeDBEngineVersionsInput{Filters: []types.Filter{{Name: aws.String("engine-mode"), Values: []string{"serverless"}}}}, 0},
	} {
		out, err := r.DescribeDBEngineVersions(t.Context(), &c.in)
		if err != nil || len(out.DBEngineVersions) != c.want {
			t.Errorf("%s: %d versions, %v; want %d", name, len(out.DBEngineVersions), err, c.want)
		}
	}
	orderable := func(in api.DescribeOrderableDBInstanceOptionsInput) int {
		t.Helper()
		in.Engine, in.EngineVersion = aws.String("aurora-postgresql"), aws.String("15.10")
		n := 0
		for pages := api.NewDescribeOrderableDBInstanceOptionsPaginator(r, &in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n += len(page.OrderableDBInstanceOptions)
		}
		return n
	}
	if n := orderable(api.DescribeOrderableDBInstanceOptionsInput{}); n < 65 {
		t.Errorf("%d classes", n)
	}
	if n := orderable(api.DescribeOrderableDBInstanceOptionsInput{DBInstanceClass: aws.String("db.r6i.32xlarge")}); n != 1 {
		t.Errorf("one class: %d", n)
	}
	if n := orderable(api.DescribeOrderableDBInstanceOptionsInput{LicenseModel: aws.String("bring-your-own-license")}); n != 0 {
		t.Errorf("another licence: %d", n)
	}
}

func TestQuotasCountWhatThereIs(t *testing.T) {
	r := start(t)
	r.create(t, "demo", "one", "two")
	r.groups(t)
	out, err := r.DescribeAccountAttributes(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range out.AccountQuotas {
		want := map[string]int64{"DBInstances": 2, "DBParameterGroups": 1, "DBClusterParameterGroups": 1}[*q.AccountQuotaName]
		if *q.Used != want || *q.Max < 40 {
			t.Errorf("%s: %d of %d", *q.AccountQuotaName, *q.Used, *q.Max)
		}
	}
}

func TestTheCertificateIsTheRegionsOwn(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	service, err := rds.Config{Store: statetest.Start(t), Certificate: func() ([]byte, error) {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), nil
	}}.New(ctx)
	if err != nil {
		t.Fatal(err)
	}
	client := api.NewFromConfig(wiretest.Serve(t, service))
	t.Cleanup(cancel)
	out, err := client.DescribeCertificates(t.Context(), nil)
	if err != nil || len(out.Certificates) != 1 || !out.Certificates[0].ValidTill.Equal(template.NotAfter.Truncate(time.Second)) || len(*out.Certificates[0].Thumbprint) != 40 {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = client.DescribeCertificates(t.Context(), &api.DescribeCertificatesInput{CertificateIdentifier: aws.String("rds-ca-2019")})
	wantCode(t, "a certificate that is not here", err, "CertificateNotFound")
	for _, change := range []struct {
		in       api.ModifyCertificatesInput
		override bool
	}{
		{api.ModifyCertificatesInput{CertificateIdentifier: out.DefaultCertificateForNewLaunches}, true},
		{api.ModifyCertificatesInput{CertificateIdentifier: out.DefaultCertificateForNewLaunches}, true},
		{api.ModifyCertificatesInput{RemoveCustomerOverride: aws.Bool(true)}, false},
		{api.ModifyCertificatesInput{RemoveCustomerOverride: aws.Bool(true)}, false},
	} {
		changed, err := client.ModifyCertificates(t.Context(), &change.in)
		if err != nil || *changed.Certificate.CustomerOverride != change.override || (changed.Certificate.CustomerOverrideValidTill != nil) != change.override {
			t.Errorf("%+v: %+v, %v", change.in, changed, err)
		}
		shown, err := client.DescribeCertificates(t.Context(), nil)
		if err != nil || *shown.Certificates[0].CustomerOverride != change.override {
			t.Errorf("%+v, %v", shown, err)
		}
	}
	_, err = client.ModifyCertificates(t.Context(), &api.ModifyCertificatesInput{CertificateIdentifier: aws.String("rds-ca-2019")})
	wantCode(t, "a choice that is not here", err, "CertificateNotFound")
	_, err = client.ModifyCertificates(t.Context(), nil)
	wantCode(t, "no choice", err, "InvalidParameterCombination")
}
