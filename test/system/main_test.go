// Package system tests the whole product as its users meet it: the daybreak
// binary, real PostgreSQL, real Terraform. It knows only commands, addresses and
// SQL.
package system

import (
	"os"
	"testing"

	"github.com/daybreakdb/daybreak/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
