package aurora

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
)

// Names makes DNS names of Aurora's shape for endpoints, as
// "demo.cluster-c3xq….us-west-2.rds.<suffix>". Without a suffix endpoints have
// addresses only, and every name is empty.
type Names struct {
	// Suffix is what follows "rds.", without dots at its ends; AWS's is amazonaws.com.
	Suffix string
}

// Writer is the name of the cluster endpoint.
func (n Names) Writer(c *DBCluster) string {
	return n.name(c.Spec.Identifier, "cluster-", c.Account, c.Region)
}

// Reader is the name of the reader endpoint.
func (n Names) Reader(c *DBCluster) string {
	return n.name(c.Spec.Identifier, "cluster-ro-", c.Account, c.Region)
}

// Custom is the name of a custom endpoint, in which the cluster's is not.
func (n Names) Custom(c *DBCluster, e *CustomEndpoint) string {
	return n.name(e.Identifier, "cluster-custom-", c.Account, c.Region)
}

// Instance is the name of an instance endpoint.
func (n Names) Instance(i *DBInstance) string {
	return n.name(i.Spec.Identifier, "", i.Account, i.Region)
}

func (n Names) name(identifier, kind, account, region string) string {
	if n.Suffix == "" {
		return ""
	}
	return fmt.Sprintf("%s.%s%s.%s.rds.%s", identifier, kind, accountHash(account, region), region, n.Suffix)
}

// accountHash is the same in all names of an account and region, on which clients
// that know Aurora rely.
func accountHash(account, region string) string {
	sum := sha256.Sum256([]byte(account + "/" + region))
	return "c" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:11]
}
