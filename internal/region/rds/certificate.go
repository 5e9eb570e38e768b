package rds

import (
	"context"
	"crypto/sha1" // as AWS makes thumbprints
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// certificate reads the certificate; nil when there is none.
func (s *service) certificate() (*x509.Certificate, error) {
	if s.config.Certificate == nil {
		return nil, nil
	}
	text, err := s.config.Certificate()
	if err != nil {
		return nil, fmt.Errorf("certificate of the region: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("certificate of the region: it is not in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// DescribeCertificates answers the certificate of the region's own authority, which
// has the name of AWS's.
func (s *service) DescribeCertificates(ctx context.Context, in *rds.DescribeCertificatesInput) (*rds.DescribeCertificatesOutput, error) {
	if err := first(noFilters(in.Filters), checkCA(in.CertificateIdentifier)); err != nil {
		return nil, err
	}
	if in.CertificateIdentifier == nil {
		if _, _, err := awswire.Page([]string{caIdentifier}, in.Marker, in.MaxRecords, awswire.RDSPages(), func(v string) string { return v }); err != nil {
			return nil, err
		}
	}
	out := &rds.DescribeCertificatesOutput{DefaultCertificateForNewLaunches: aws.String(caIdentifier)}
	certificate, err := s.certificate()
	if certificate == nil || err != nil {
		return out, err
	}
	shown, err := s.showCertificate(ctx, certificate)
	out.Certificates = []types.Certificate{shown}
	return out, err
}

// showCertificate shows the authority's certificate to the caller of ctx.
func (s *service) showCertificate(ctx context.Context, certificate *x509.Certificate) (types.Certificate, error) {
	overridden, err := s.overridden(ctx)
	thumbprint := sha1.Sum(certificate.Raw)
	shown := types.Certificate{
		CertificateIdentifier: aws.String(caIdentifier), CertificateType: aws.String("CA"), CustomerOverride: &overridden,
		CertificateArn: aws.String("arn:aws:rds:" + scopeOf(ctx).region + "::cert:" + caIdentifier),
		Thumbprint:     aws.String(hex.EncodeToString(thumbprint[:])),
		ValidFrom:      aws.Time(certificate.NotBefore), ValidTill: aws.Time(certificate.NotAfter),
	}
	if overridden {
		shown.CustomerOverrideValidTill = shown.ValidTill
	}
	return shown, err
}

// override is there for an account and region that has chosen the authority of its
// new instances.
type override struct{}

func overrideTable(store *state.Store) state.Table[override] {
	return state.NewTable[override](store, "region/rds-certificate-overrides")
}

func (c scope) overrideKey() string { return c.account + "/" + c.region }

func (s *service) overridden(ctx context.Context) (bool, error) {
	_, err := overrideTable(s.store).Get(ctx, scopeOf(ctx).overrideKey())
	if errors.Is(err, state.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// ModifyCertificates chooses the authority of the account's new instances, of which
// there is one to choose, or takes the choice back.
func (s *service) ModifyCertificates(ctx context.Context, in *rds.ModifyCertificatesInput) (*rds.ModifyCertificatesOutput, error) {
	remove := aws.ToBool(in.RemoveCustomerOverride)
	if remove == (in.CertificateIdentifier != nil) {
		return nil, awswire.InvalidParameterCombination("Specify either CertificateIdentifier or RemoveCustomerOverride.")
	}
	if err := checkCA(in.CertificateIdentifier); err != nil {
		return nil, err
	}
	certificate, err := s.certificate()
	if err != nil {
		return nil, err
	}
	if certificate == nil {
		return nil, awswire.Errorf(404, "CertificateNotFound", "This region has no certificate authority.")
	}
	table, key := overrideTable(s.store), scopeOf(ctx).overrideKey()
	if remove {
		err = table.Delete(ctx, key)
	} else if _, err = table.Create(ctx, key, override{}); errors.Is(err, state.ErrExists) {
		err = nil
	}
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, err
	}
	shown, err := s.showCertificate(ctx, certificate)
	if err != nil {
		return nil, err
	}
	return &rds.ModifyCertificatesOutput{Certificate: &shown}, nil
}
