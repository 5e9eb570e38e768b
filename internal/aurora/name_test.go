package aurora

import (
	"regexp"
	"testing"
)

func TestNamesHaveAurorasShape(t *testing.T) {
	meta := Meta{Account: "111122223333", Region: "us-west-2"}
	c := &DBCluster{Meta: meta}
	c.Spec.Identifier = "demo"
	i := &DBInstance{Meta: meta}
	i.Spec.Identifier = "demo-1"
	e := &CustomEndpoint{Identifier: "reports"}
	n := Names{Suffix: "db.example.com"}
	hash := regexp.MustCompile(`cluster-([a-z0-9]+)\.`).FindStringSubmatch(n.Writer(c))
	if hash == nil {
		t.Fatalf("no hash in %s", n.Writer(c))
	}
	for got, want := range map[string]string{
		n.Writer(c):    "demo.cluster-" + hash[1] + ".us-west-2.rds.db.example.com",
		n.Reader(c):    "demo.cluster-ro-" + hash[1] + ".us-west-2.rds.db.example.com",
		n.Custom(c, e): "reports.cluster-custom-" + hash[1] + ".us-west-2.rds.db.example.com",
		n.Instance(i):  "demo-1." + hash[1] + ".us-west-2.rds.db.example.com",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	other := *c
	other.Region = "eu-west-1"
	if accountHash(c.Account, c.Region) == accountHash(other.Account, other.Region) {
		t.Error("two regions share a hash")
	}
	if got := (Names{}).Writer(c); got != "" {
		t.Errorf("without a suffix there is the name %s", got)
	}
}
