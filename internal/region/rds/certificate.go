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
	thumbprint := sha1.Sum(certificate.Raw)
	out.Certificates = []types.Certificate{{
		CertificateIdentifier: aws.String(caIdentifier), CertificateType: aws.String("CA"), CustomerOverride: aws.Bool(false),
		CertificateArn: aws.String("arn:aws:rds:" + scopeOf(ctx).region + "::cert:" + caIdentifier),
		Thumbprint:     aws.String(hex.EncodeToString(thumbprint[:])),
		ValidFrom:      aws.Time(certificate.NotBefore), ValidTill: aws.Time(certificate.NotAfter),
	}}
	return out, nil
}
