package postgres

import (
	_ "embed"
	"strings"
)

// functionsFile makes the SQL functions that Aurora has and PostgreSQL has not.
//
//go:embed functions.sql
var functionsFile string

// viewsFile adds to the views of PostgreSQL what they show in Aurora.
//
//go:embed views.sql
var viewsFile string

// functionsSQL makes Aurora's SQL functions and views in one database. What is in
// template0 and template1 is in every database made later; initdb has made postgres
// before. It needs the roles of clusterSQL.
func functionsSQL() []string {
	var sql []string
	for _, file := range []string{functionsFile, viewsFile} {
		sql = append(sql, strings.TrimSuffix(strings.TrimSpace(file), ";"))
	}
	return sql
}
