package rds

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/kms"
)

func lower(s string) string { return strings.ToLower(s) }

// kmsKey is the ARN of the key that was given, which withKeys has looked up, or
// of the account's default key for RDS.
func (c scope) kmsKey(given string) string {
	return c.keyOf("rds", given)
}

// keyOf does so for another service's default key.
func (c scope) keyOf(service, given string) string {
	if given == "" {
		given = kms.ManagedKeyID(c.account, c.region, service)
	}
	if strings.HasPrefix(given, "arn:") {
		return given
	}
	return fmt.Sprintf("arn:aws:kms:%s:%s:key/%s", c.region, c.account, given)
}

// withKeys lets an action begin only if the keys that the request names can be
// used; the action is given their ARNs.
func withKeys[I, O any](s *service, action func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		c := scopeOf(ctx)
		for _, parameter := range []string{"KmsKeyId", "PerformanceInsightsKMSKeyId", "MasterUserSecretKmsKeyId"} {
			field := reflect.ValueOf(in).Elem().FieldByName(parameter)
			if !field.IsValid() || field.IsNil() || field.Elem().Len() == 0 {
				continue
			}
			arn, err := kms.Usable(ctx, s.store, c.account, c.region, field.Elem().String())
			if errors.Is(err, kms.ErrUnusable) {
				return nil, awswire.BadRequestf("KMSKeyNotAccessibleFault",
					"The specified KMS key [%.300s] does not exist, is not enabled or you do not have permissions to access it.", field.Elem().String())
			}
			if err != nil {
				return nil, err
			}
			field.Set(reflect.ValueOf(&arn))
		}
		return action(ctx, in)
	}
}
