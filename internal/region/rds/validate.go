package rds

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

var identifierPattern = regexp.MustCompile(`^[A-Za-z](-?[A-Za-z0-9])*$`)

// checkIdentifier returns an identifier as it is stored, in lower case.
func checkIdentifier(parameter, given string) (string, error) {
	if len(given) > 63 || !identifierPattern.MatchString(given) {
		return "", awswire.InvalidParameterValue("The parameter %s is not a valid identifier. Identifiers must begin with a letter; "+
			"must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.", parameter)
	}
	return strings.ToLower(given), nil
}

const engine = "aurora-postgresql"

func checkEngine(given string) error {
	if given != engine {
		return awswire.InvalidParameterValue("Invalid DB engine: %s. This region has aurora-postgresql.", given)
	}
	return nil
}

// minors are the versions of Aurora PostgreSQL 15 that can be asked for.
var minors = []int{2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16, 17, 18}

const defaultVersion = "15.18"

func checkVersion(given string) (string, error) {
	if given == "" || given == "15" {
		return defaultVersion, nil
	}
	if !slices.ContainsFunc(minors, func(minor int) bool { return given == "15."+strconv.Itoa(minor) }) {
		return "", awswire.InvalidParameterCombination("Cannot find version %s for aurora-postgresql", given)
	}
	return given, nil
}

var (
	usernamePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)
	databasePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)
	passwordPattern = regexp.MustCompile(`^[!#-.0-?A-~]+$`)
)

// reserved are words that PostgreSQL does not take as a name without quotes.
var reserved = []string{"admin", "all", "and", "any", "array", "as", "asc", "authorization", "both", "case", "cast", "check", "column",
	"create", "current_user", "default", "desc", "distinct", "do", "else", "end", "except", "false", "for", "from", "grant", "group",
	"having", "in", "into", "limit", "none", "not", "null", "on", "or", "order", "primary", "public", "references", "select", "session_user",
	"table", "then", "to", "true", "union", "unique", "user", "using", "when", "where", "with"}

func checkUsername(name string) error {
	lower := strings.ToLower(name)
	switch {
	case !usernamePattern.MatchString(name):
		return awswire.InvalidParameterValue("MasterUsername %s is not valid: it must begin with a letter and contain only letters, digits and underscores, at most 63.", name)
	case slices.Contains(reserved, lower) || strings.HasPrefix(lower, "rds") || strings.HasPrefix(lower, "pg_"):
		return awswire.InvalidParameterValue("MasterUsername %s cannot be used as it is a reserved word used by the engine", name)
	}
	return nil
}

func checkDatabase(name string) error {
	lower := strings.ToLower(name)
	switch {
	case !databasePattern.MatchString(name):
		return awswire.InvalidParameterValue("DatabaseName must begin with a letter and contain only alphanumeric characters.")
	case slices.Contains(reserved, lower) || lower == "rdsadmin" || lower == "template0" || lower == "template1":
		return awswire.InvalidParameterValue("DatabaseName %s cannot be used. It is a reserved word for this engine", name)
	}
	return nil
}

func checkPassword(password string) error {
	switch {
	case len(password) < 8:
		return awswire.InvalidParameterValue("The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters.")
	case len(password) > 99:
		return awswire.InvalidParameterValue("The parameter MasterUserPassword is not a valid password because it is longer than 99 characters.")
	case !passwordPattern.MatchString(password):
		return awswire.InvalidParameterValue("The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', '@', '\"', ' ' may be used.")
	}
	return nil
}

func checkPort(port *int32) error {
	if port != nil && (*port < 1150 || *port > 65535) {
		return awswire.InvalidParameterValue("Invalid port %d: valid range is 1150-65535.", *port)
	}
	return nil
}

func checkRetention(days *int32) error {
	if days != nil && (*days < 1 || *days > 35) {
		return awswire.InvalidParameterValue("Invalid backup retention period: %d. Must be between 1 and 35.", *days)
	}
	return nil
}

func checkClass(class string, scaling *aurora.ServerlessV2Scaling) error {
	if _, ok := aurora.ClassMemory(class); !ok {
		return awswire.InvalidParameterValue("Invalid DB Instance class: %s", class)
	}
	if class == "db.serverless" && scaling == nil {
		return awswire.InvalidParameterCombination("Set the Serverless v2 scaling configuration on the parent DB cluster before creating a Serverless v2 DB instance.")
	}
	return nil
}

func checkTier(tier *int32) error {
	if tier != nil && (*tier < 0 || *tier > 15) {
		return awswire.InvalidParameterValue("Invalid promotion tier %d: must be between 0 and 15.", *tier)
	}
	return nil
}

var logExports = []string{"postgresql", "instance", "iam-db-auth-error"}

func checkLogExports(types []string) error {
	for _, t := range types {
		if !slices.Contains(logExports, t) {
			return awswire.InvalidParameterCombination("You cannot use the log types '%s' with engine version aurora-postgresql. For supported log types, see the documentation.", t)
		}
	}
	return nil
}

func checkScaling(min, max *float64, pause *int32) (*aurora.ServerlessV2Scaling, error) {
	if min == nil || max == nil {
		return nil, awswire.InvalidParameterCombination("ServerlessV2ScalingConfiguration needs MinCapacity and MaxCapacity.")
	}
	half := func(n float64) bool { return n*2 == float64(int(n*2)) }
	if *min < 0 || *min > 256 || *max < 1 || *max > 256 || *max < *min || !half(*min) || !half(*max) {
		return nil, awswire.InvalidParameterValue("Serverless v2 capacity %v to %v isn't valid. Capacity is in steps of 0.5 from 0 to 256, the maximum at least 1 and not below the minimum.", *min, *max)
	}
	if *min < 0.5 {
		return nil, awswire.InvalidParameterValue("Serverless v2 minimum capacity %v isn't valid here: pausing at zero is not available in this region yet; use 0.5 or more.", *min)
	}
	s := &aurora.ServerlessV2Scaling{MinCapacity: *min, MaxCapacity: *max}
	if pause != nil {
		return nil, awswire.InvalidParameterCombination("SecondsUntilAutoPause needs a minimum capacity of 0.")
	}
	return s, nil
}
