package rds

import (
	"encoding/base64"
	"testing"
)

// The salt and password of RFC 7677, and what PostgreSQL stores of them.
func TestAVerifierIsThatOfPostgreSQL(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	const want = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" +
		"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	got, err := verifier("pencil", salt)
	if err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if !verifies(want, "pencil") || verifies(want, "pencils") || verifies("", "pencil") {
		t.Error("a verifier verifies its password and no other")
	}
}
