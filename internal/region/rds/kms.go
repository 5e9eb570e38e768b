package rds

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

func lower(s string) string { return strings.ToLower(s) }

// kmsKey is the ARN of the key given by id, alias or ARN, or of the account's
// default key for RDS.
func (c scope) kmsKey(given string) string {
	if strings.HasPrefix(given, "arn:") {
		return given
	}
	if given == "" {
		given = "alias/aws/rds"
	}
	id := given
	if strings.HasPrefix(given, "alias/") {
		sum := sha256.Sum256([]byte(c.account + "/" + c.region + "/" + given))
		id = fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	}
	return fmt.Sprintf("arn:aws:kms:%s:%s:key/%s", c.region, c.account, id)
}
