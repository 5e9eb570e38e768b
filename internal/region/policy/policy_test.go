package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func text(s string) *string { return &s }

func TestPoliciesDecideAsAWSDoes(t *testing.T) {
	const one = `{"Version":"2012-10-17","Statement":`
	allow := func(rest string) string { return one + `{"Effect":"Allow",` + rest + `}}` }
	deny := func(rest string) string {
		return one + `[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny",` + rest + `}]}`
	}
	r := Request{
		Action: "rds:DeleteDBCluster", Resource: "arn:aws:rds:us-west-2:111122223333:cluster:alice-1",
		Keys: map[string]*string{
			"aws:username": text("alice"), "aws:requestedregion": text("us-west-2"), "aws:multifactorauthpresent": nil,
			"aws:securetransport": text("false"), "aws:sourceip": text("10.1.2.3"),
		},
	}
	for name, test := range map[string]struct {
		document string
		want     Decision
	}{
		"everything":               {allow(`"Action":"*","Resource":"*"`), Allowed},
		"the action":               {allow(`"Action":"rds:DeleteDBCluster","Resource":"*"`), Allowed},
		"case of actions":          {allow(`"Action":"RDS:deletedbcluster","Resource":"*"`), Allowed},
		"part of an action":        {allow(`"Action":["rds:Describe*","rds:Delete?BCluster"],"Resource":"*"`), Allowed},
		"another action":           {allow(`"Action":"rds:CreateDBCluster","Resource":"*"`), Silent},
		"another service":          {allow(`"Action":"ec2:*","Resource":"*"`), Silent},
		"all but":                  {allow(`"NotAction":"ec2:*","Resource":"*"`), Allowed},
		"all but this":             {allow(`"NotAction":"rds:*","Resource":"*"`), Silent},
		"the resource":             {allow(`"Action":"*","Resource":"arn:aws:rds:*:111122223333:cluster:alice-*"`), Allowed},
		"another resource":         {allow(`"Action":"*","Resource":"arn:aws:rds:*:111122223333:cluster:bob-*"`), Silent},
		"case of resources":        {allow(`"Action":"*","Resource":"arn:aws:rds:*:111122223333:cluster:Alice-1"`), Silent},
		"a variable":               {allow(`"Action":"*","Resource":"arn:aws:rds:*:*:cluster:${aws:username}-1"`), Allowed},
		"a variable nobody knows":  {allow(`"Action":"*","Resource":"arn:aws:rds:*:*:cluster:${saml:sub}*"`), Silent},
		"denied by such a one":     {deny(`"Action":"*","Resource":"arn:aws:rds:*:*:cluster:${saml:sub}*"`), Denied},
		"all resources but":        {allow(`"Action":"*","NotResource":"arn:aws:s3:::*"`), Allowed},
		"all resources but this":   {allow(`"Action":"*","NotResource":"arn:aws:rds:*"`), Silent},
		"deny wins":                {deny(`"Action":"rds:Delete*","Resource":"*"`), Denied},
		"deny of another":          {deny(`"Action":"rds:Create*","Resource":"*"`), Allowed},
		"in the region":            {allow(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":["eu-west-1","us-west-2"]}}`), Allowed},
		"in another region":        {allow(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}`), Silent},
		"not in a region":          {deny(`"Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["eu-west-1","us-west-2"]}}`), Allowed},
		"two conditions":           {allow(`"Action":"*","Resource":"*","Condition":{"StringLike":{"aws:username":"al*"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), Allowed},
		"one of two fails":         {allow(`"Action":"*","Resource":"*","Condition":{"StringLike":{"aws:username":"al*"},"IpAddress":{"aws:SourceIp":"192.0.2.1"}}`), Silent},
		"a key that is absent":     {allow(`"Action":"*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`), Silent},
		"absent, if exists":        {allow(`"Action":"*","Resource":"*","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":true}}`), Allowed},
		"absent, null":             {allow(`"Action":"*","Resource":"*","Condition":{"Null":{"aws:MultiFactorAuthPresent":"true"}}`), Allowed},
		"a key nobody knows":       {allow(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"rds:DatabaseEngine":"x"}}`), Silent},
		"denied by such a key":     {deny(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"rds:DatabaseEngine":"x"}}`), Denied},
		"an operator not had":      {allow(`"Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:username":"2030-01-01T00:00:00Z"}}`), Silent},
		"denied by such a one too": {deny(`"Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:username":"2030-01-01T00:00:00Z"}}`), Denied},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Parse(test.document)
			if err != nil {
				t.Fatal(err)
			}
			if got := Decide([]Document{d}, r); got != test.want {
				t.Errorf("decision %v, want %v", got, test.want)
			}
		})
	}
}

func TestATrustPolicyTrustsAccountsAndNames(t *testing.T) {
	const account, alice = "111122223333", "arn:aws:iam::111122223333:user/alice"
	for name, test := range map[string]struct {
		principal, condition string
		want                 Decision
		named                bool
	}{
		"the account":          {`{"AWS":"arn:aws:iam::111122223333:root"}`, `{}`, Allowed, false},
		"the account's number": {`{"AWS":["111122223333"]}`, `{}`, Allowed, false},
		"the user":             {`{"AWS":"` + alice + `"}`, `{}`, Allowed, true},
		"everyone":             {`"*"`, `{}`, Allowed, true},
		"another account":      {`{"AWS":"444455556666"}`, `{}`, Silent, false},
		"a service":            {`{"Service":"monitoring.rds.amazonaws.com"}`, `{}`, Silent, false},
		"the external id":      {`{"AWS":"111122223333"}`, `{"StringEquals":{"sts:ExternalId":"secret"}}`, Allowed, false},
		"another external id":  {`{"AWS":"111122223333"}`, `{"StringEquals":{"sts:ExternalId":"other"}}`, Silent, false},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Parse(`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":` + test.principal + `,"Condition":` + test.condition + `}]}`)
			if err != nil || d.CheckTrust() != nil {
				t.Fatal(err, d.CheckTrust())
			}
			r := Request{Action: "sts:AssumeRole", Keys: map[string]*string{"sts:externalid": text("secret")}}
			if got, named := d.Trust(r, account, alice); got != test.want || named != test.named {
				t.Errorf("decision %v %v, want %v %v", got, named, test.want, test.named)
			}
		})
	}
}

func TestAResourceGrantsToThoseItNames(t *testing.T) {
	const account, alice = "111122223333", "arn:aws:iam::111122223333:user/alice"
	for name, test := range map[string]struct {
		statement string
		own, wide Decision
	}{
		"the account":             {`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}`, Silent, Allowed},
		"the user":                {`{"Effect":"Allow","Principal":{"AWS":"` + alice + `"},"Action":"kms:*","Resource":"*"}`, Allowed, Silent},
		"without a resource":      {`{"Effect":"Allow","Principal":{"AWS":"` + alice + `"},"Action":"kms:*"}`, Allowed, Silent},
		"another user":            {`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"kms:*","Resource":"*"}`, Silent, Silent},
		"another action":          {`{"Effect":"Allow","Principal":"*","Action":"kms:Encrypt","Resource":"*"}`, Silent, Silent},
		"a condition not known":   {`{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"x"}}}`, Silent, Silent},
		"a denial not known":      {`{"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"x"}}}`, Denied, Denied},
		"denied to all but alice": {`{"Effect":"Deny","NotPrincipal":{"AWS":"` + alice + `"},"Action":"*","Resource":"*"}`, Silent, Silent},
		"denied to all but bob":   {`{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"*","Resource":"*"}`, Denied, Denied},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Parse(`{"Statement":` + test.statement + `}`)
			if err != nil || d.CheckResource() != nil {
				t.Fatal(err, d.CheckResource())
			}
			own, wide := d.Grants(Request{Action: "kms:Decrypt", Resource: "arn:aws:kms:us-west-2:111122223333:key/a"}, account, alice)
			if own != test.own || wide != test.wide {
				t.Errorf("%v and %v, want %v and %v", own, wide, test.own, test.wide)
			}
		})
	}
}

func TestDocumentsThatAreNoPoliciesAreRefused(t *testing.T) {
	for name, document := range map[string]string{
		"nothing":            ``,
		"no JSON":            `Version: 2012-10-17`,
		"no statement":       `{"Version":"2012-10-17","Statement":[]}`,
		"another version":    `{"Version":"2013-01-01","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`,
		"unknown member":     `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Actions":"*"}}`,
		"no effect":          `{"Statement":{"Action":"*","Resource":"*"}}`,
		"no action":          `{"Statement":{"Effect":"Allow","Resource":"*"}}`,
		"both actions":       `{"Statement":{"Effect":"Allow","Action":"*","NotAction":"rds:*","Resource":"*"}}`,
		"no vendor":          `{"Statement":{"Effect":"Allow","Action":"CreateDBCluster","Resource":"*"}}`,
		"no such operator":   `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Equals":{"a":"b"}}}}`,
		"an object for text": `{"Statement":{"Effect":"Allow","Action":{"a":"b"},"Resource":"*"}}`,
		"more after it":      `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}} {}`,
	} {
		if _, err := Parse(document); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPatternsMatchWhatTheyStandFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringMatching(`[a-c:/]{0,4}`), 1, 5).Draw(t, "parts")
		filling := rapid.StringMatching(`[a-c*?:]{0,5}`).Draw(t, "filling")
		pattern, matching := strings.Join(parts, "*"), strings.Join(parts, filling)
		if !like(pattern, matching) {
			t.Fatalf("%q does not match %q", pattern, matching)
		}
		if !like(strings.Repeat("?", len(matching)), matching) || like(strings.Repeat("?", len(matching)+1), matching) {
			t.Fatalf("? is not one character of %q", matching)
		}
		if like(pattern+"z", matching) {
			t.Fatalf("%q matches %q", pattern+"z", matching)
		}
	})
}

func FuzzParsedPoliciesCanBeDecided(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotAction":["a:b"],"NotResource":"arn:${aws:x}","Condition":{"ForAnyValue:StringLike":{"k":[1,true]}}}]}`)
	f.Add(`{"Statement":{"Effect":"Allow","Action":"*","Principal":{"AWS":["*"]},"Condition":{"Null":{"k":"true"}}}}`)
	f.Fuzz(func(t *testing.T, document string) {
		d, err := Parse(document)
		if err != nil {
			return
		}
		_, _ = d.CheckIdentity(), d.CheckTrust()
		_, _ = d.Trust(Request{Action: "sts:AssumeRole"}, "111122223333")
		if Decide([]Document{d}, Request{Action: "x:y", Resource: "*"}) == Allowed && !strings.Contains(document, "Allow") {
			t.Fatal("allowed by a policy without Allow")
		}
	})
}
