package spec

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func shipped(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../../paas/spec.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestShippedPlanDecodes(t *testing.T) {
	plan, err := Decode("spec.yaml", []byte(shipped(t)))
	if err != nil {
		t.Fatal(err)
	}
	root := plan.Root()
	if root == nil || root.Key != "postgreSQLAuroraCluster" || root.Terraform.Path != "paas/terraform" {
		t.Fatalf("root service: %+v", root)
	}
	if len(root.Terraform.RequiredOutputs) != 10 || len(root.Parameters) != 4 || len(root.Endpoints) != 2 {
		t.Errorf("%d outputs, %d parameters, %d endpoints", len(root.Terraform.RequiredOutputs), len(root.Parameters), len(root.Endpoints))
	}
	for _, w := range plan.Warnings {
		if !strings.Contains(w.Message, "no effect") {
			t.Errorf("warning: %s", w)
		}
	}
}

func TestEveryProblemOfADocumentComesAtOnce(t *testing.T) {
	broken := strings.NewReplacer(
		"tenancyType: CUSTOM_TENANCY", "tenancyTipe: CUSTOM_TENANCY",
		"type: Password", "type: Passwort",
		"max: 15", "max: many",
		"terraformPath: /paas/terraform", "terraformPath: \"\"",
	).Replace(shipped(t))
	_, err := Decode("spec.yaml", []byte(broken))
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error %v, want Problems", err)
	}
	for _, want := range []string{`unknown key "tenancyTipe" (did you mean "tenancyType"?)`, `"Passwort" is not allowed (did you mean "Password"?)`, "want a number", "terraformPath is missing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	for _, p := range problems {
		if p.Line == 0 {
			t.Errorf("no line: %s", p)
		}
	}
}

func TestOtherWritingsAreUnderstood(t *testing.T) {
	const doc = `# yaml-language-server: $schema=https://example.com
x-common: &common
  modifiable: true
name: P
deployment:
features: {INTERNAL: {logs: }, CUSTOMER: }
Services:
  - name: some-db service
    terraformConfigurations:
      configurationPerCloudProvider:
        aws: {terraformPath: stack/, gitConfiguration: {reference: refs/heads/main, repositoryUrl: "https://example.com/r.git"}}
    apiParameters:
      - <<: *common
        key: n
        type: float64
        defaultValue: 2
`
	plan, err := Decode("spec.yaml", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	root := plan.Root()
	if root.Key != "someDbService" || root.Terraform.Path != "stack" || !root.Parameters[0].Modifiable || root.Parameters[0].Type != TypeFloat64 {
		t.Errorf("%+v", root)
	}
}

func TestParameterValuesAreCheckedTogether(t *testing.T) {
	plan, err := Decode("spec.yaml", []byte(shipped(t)))
	if err != nil {
		t.Fatal(err)
	}
	root := plan.Root()
	const secret = "bad password"
	_, err = root.Create(map[string]any{"readReplicaCount": 99, "instanceTyp": "db.r6g.large", "password": secret, "username": "Robert'); --"})
	for _, want := range []string{"readReplicaCount", "0 to 15", "instanceTyp", `"instanceType"`, "password", "username"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Error("the password is in the error")
	}
	values, err := root.Create(map[string]any{"password": "good-password", "readReplicaCount": 2.0})
	if err != nil || values["readReplicaCount"] != "2" || values["username"] != "postgres" {
		t.Fatalf("%v, %v", values, err)
	}
	if _, err := root.Modify(map[string]any{"username": "other"}, values); err == nil || !strings.Contains(err.Error(), "cannot be modified") {
		t.Errorf("a fixed parameter was changed: %v", err)
	}
	changed, err := root.Modify(map[string]any{"username": "postgres", "readReplicaCount": "0"}, values)
	if err != nil || changed["readReplicaCount"] != "0" || changed["password"] != "good-password" {
		t.Errorf("%v, %v", changed, err)
	}
}

func FuzzDecode(f *testing.F) {
	data, err := os.ReadFile("../../../paas/spec.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("services:\n  - <<: {name: x}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := Decode("spec.yaml", data)
		var problems Problems
		if err != nil && !errors.As(err, &problems) {
			t.Fatalf("error of another kind: %v", err)
		}
		if err == nil && plan.Root() == nil {
			t.Fatal("accepted a plan that nobody can ask for")
		}
	})
}
