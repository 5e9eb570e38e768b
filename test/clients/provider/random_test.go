package provider

import (
	"encoding/json"
	"regexp"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const randomStack = `
terraform {
  required_providers {
    random = {
      source = "hashicorp/random"
    }
  }
}

variable "keeper" {
  default = "one"
}

resource "random_password" "this" {
  length           = 24
  min_upper        = 2
  min_numeric      = 3
  min_special      = 4
  override_special = "-_"

  keepers = {
    of = var.keeper
  }
}

resource "random_string" "this" {
  length  = 8
  special = false
  upper   = false
}

resource "random_id" "this" {
  byte_length = 4
  prefix      = "db-"
}

output "all" {
  sensitive = true
  value = {
    password = random_password.this.result
    hash     = random_password.this.bcrypt_hash
    string   = random_string.this.result
    hex      = random_id.this.hex
    dec      = random_id.this.dec
    b64      = random_id.this.b64_url
  }
}
`

func TestRandomValuesAreAsAskedAndStay(t *testing.T) {
	t.Parallel()
	tf := newTerraform(t, embeddedMirror(t), randomStack)
	tf.must("init", "-input=false")
	read := func() map[string]string {
		var out map[string]string
		if err := json.Unmarshal([]byte(tf.must("output", "-json", "all")), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	tf.must("apply", "-input=false", "-auto-approve")
	first := read()
	for name, shape := range map[string]string{
		"password": `^[A-Za-z0-9_-]{24}$`, "string": `^[a-z0-9]{8}$`, "hex": `^db-[0-9a-f]{8}$`, "dec": `^db-[0-9]+$`, "b64": `^db-[A-Za-z0-9_-]{6}$`,
	} {
		if !regexp.MustCompile(shape).MatchString(first[name]) {
			t.Errorf("%s is not of the form %s", name, shape)
		}
	}
	if bcrypt.CompareHashAndPassword([]byte(first["hash"]), []byte(first["password"])) != nil {
		t.Error("the hash is not the password's")
	}
	tf.mustPlanNothing("after the apply")
	tf.must("apply", "-input=false", "-auto-approve", "-var", "keeper=two")
	second := read()
	if first["password"] == second["password"] || first["string"] != second["string"] || first["hex"] != second["hex"] {
		t.Error("a changed keeper replaces what it keeps and nothing else")
	}
}

func TestRandomValuesAreImported(t *testing.T) {
	t.Parallel()
	tf := newTerraform(t, embeddedMirror(t), `
resource "random_password" "this" {
  length = 9
}

resource "random_id" "this" {
  byte_length = 4
  prefix      = "db-"
}
`)
	tf.must("init", "-input=false")
	tf.must("import", "random_password.this", "nine-char")
	tf.must("import", "random_id.this", "db-,q83vEg")
	tf.mustPlanNothing("after the imports")
}
