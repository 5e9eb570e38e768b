package postgres

import (
	_ "embed"
	"strings"
)

// functionsFile makes the SQL functions that Aurora has and PostgreSQL has not.
//
//go:embed functions.sql
var functionsFile string

// functionsSQL makes Aurora's SQL functions in one database. What is in template0
// and template1 is in every database made later; initdb has made postgres before.
// It needs the roles of clusterSQL.
func functionsSQL() []string {
	return []string{strings.TrimSuffix(strings.TrimSpace(functionsFile), ";")}
}
