// Package parameter knows the parameters that DB parameter groups of the family
// aurora-postgresql15 have: which values each takes, what it becomes in
// PostgreSQL, and the language of formulas. It is pure, as the nouns are; it must
// not know groups, requests or servers.
package parameter

import (
	_ "embed"
	"slices"
	"strings"
)

// Family is the only family of parameter groups.
const Family = "aurora-postgresql15"

// Use is what becomes of a parameter's value.
type Use string

// Uses of parameters.
const (
	// Postgres: the setting of the same name of PostgreSQL 15.
	Postgres Use = "postgres"
	// Extension: a setting of an extension; PostgreSQL keeps it for the extension
	// where that is installed.
	Extension Use = "extension"
	// Translated: something else that has the same effect.
	Translated Use = "translated"
	// Stored: kept and shown. Aurora tunes itself by it; no result depends on it.
	Stored Use = "stored"
	// Service: set by the service, as the default says.
	Service Use = "service"
	// Absent: of a feature of Aurora that PostgreSQL does not have. It is off.
	Absent Use = "absent"
)

// Parameter is one parameter of the family.
type Parameter struct {
	Name              string
	Cluster, Instance bool   // the kinds of groups that have it
	Type              string // boolean, integer, float, string
	Static            bool   // needs a restart
	// Allowed are the values: "0,1", "a,b", "1-100"; empty: any text.
	Allowed string
	Unit    string // of a number, PostgreSQL's
	// Default is the value without a user's: empty where it is PostgreSQL's own.
	Default string
	Use     Use
}

// Modifiable says whether a group can set it.
func (p *Parameter) Modifiable() bool { return p.Use != Service && p.Use != Absent }

//go:embed catalogue.tsv
var catalogue string

var all, byName = parse(catalogue)

func parse(text string) ([]*Parameter, map[string]*Parameter) {
	var list []*Parameter
	index := map[string]*Parameter{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for i := range f {
			if f[i] == "-" {
				f[i] = ""
			}
		}
		p := &Parameter{
			Name: f[0], Cluster: strings.Contains(f[1], "c"), Instance: strings.Contains(f[1], "i"),
			Type: f[2], Static: f[3] == "static", Allowed: f[4], Unit: f[5], Default: f[6], Use: Use(f[7]),
		}
		list, index[p.Name] = append(list, p), p
	}
	return list, index
}

// All are the parameters in the order of their names.
func All() []*Parameter { return slices.Clone(all) }

// Find finds a parameter by name, in any case.
func Find(name string) (*Parameter, bool) {
	p, ok := byName[strings.ToLower(name)]
	return p, ok
}

// boundToWriter are the settings in which a reader must not be below its writer,
// or PostgreSQL stops replaying.
var boundToWriter = []string{"max_connections", "max_locks_per_transaction", "max_prepared_transactions", "max_worker_processes"}

// BoundToWriter says whether all servers of a cluster must change the parameter
// together: with the writer's restart.
func (p *Parameter) BoundToWriter() bool { return slices.Contains(boundToWriter, p.Name) }

// Names of parameters that mean something to the service itself.
const (
	ForceSSL           = "rds.force_ssl"
	LogRetentionPeriod = "rds.log_retention_period" // minutes
	logicalReplication = "rds.logical_replication"
)

// Settings are what a value is for PostgreSQL. What it has no name for is left out,
// but for names with a dot: SHOW knows those, as it does on Aurora.
func (p *Parameter) Settings(value string) map[string]string {
	settings := map[string]string{}
	if p.Use == Postgres || strings.Contains(p.Name, ".") {
		settings[p.Name] = value
	}
	if p.Name == logicalReplication {
		settings["wal_level"] = "replica"
		if on, _ := boolean(value); on {
			settings["wal_level"] = "logical"
		}
	}
	return settings
}

// On says whether a boolean parameter's value is a yes.
func On(value string) bool {
	on, _ := boolean(value)
	return on
}
