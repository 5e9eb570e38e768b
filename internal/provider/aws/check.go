package aws

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The checks below say what is wrong with a configured value, nothing when it is right. The server checks too;
// these only say so before anything is made.

func text(v any) string { s, _ := v.(string); return s }

func atMost(n int) func(any) string {
	return func(v any) string {
		if len(text(v)) > n {
			return fmt.Sprintf("may have %d characters at most", n)
		}
		return ""
	}
}

func notSG(v any) string {
	if strings.HasPrefix(text(v), "sg-") {
		return "cannot begin with sg-"
	}
	return atMost(255)(v)
}

func matches(pattern, wrong string) func(any) string {
	re := regexp.MustCompile(pattern)
	return func(v any) string {
		if !re.MatchString(text(v)) {
			return wrong
		}
		return ""
	}
}

func oneOf(allowed ...string) func(any) string {
	return func(v any) string {
		if !slices.Contains(allowed, text(v)) {
			return fmt.Sprintf("must be one of %q", allowed)
		}
		return ""
	}
}

func between(lowest, highest float64) func(any) string {
	return func(v any) string {
		if n, ok := v.(float64); ok && (n < lowest || n > highest) {
			return fmt.Sprintf("must be between %g and %g", lowest, highest)
		}
		return ""
	}
}

func all(checks ...func(any) string) func(any) string {
	return func(v any) string {
		for _, check := range checks {
			if wrong := check(v); wrong != "" {
				return wrong
			}
		}
		return ""
	}
}

const (
	identifierStart = "must begin with a lowercase letter and hold only lowercase alphanumeric characters and hyphens"
	day             = `(mon|tue|wed|thu|fri|sat|sun)`
	hour            = `([01][0-9]|2[0-3]):[0-5][0-9]`
)

// identifier checks DB cluster and DB instance identifiers.
func identifier(v any) string {
	s := text(v)
	switch {
	case !regexp.MustCompile(`^[a-z][0-9a-z-]*$`).MatchString(s):
		return identifierStart
	case strings.Contains(s, "--"):
		return "cannot contain two consecutive hyphens"
	case strings.HasSuffix(s, "-"):
		return "cannot end with a hyphen"
	}
	return ""
}

func identifierPrefix(v any) string { return identifier(strings.TrimSuffix(text(v), "-")) }

func backupWindow(v any) string {
	return matches("^"+hour+"-"+hour+"$", `must satisfy the format of "hh24:mi-hh24:mi"`)(v)
}

func maintenanceWindow(v any) string {
	return matches("^"+day+":"+hour+"-"+day+":"+hour+"$", `must satisfy the format of "ddd:hh24:mi-ddd:hh24:mi"`)(strings.ToLower(text(v)))
}

func arnText(v any) string {
	if text(v) == "" {
		return ""
	}
	return matches(`^arn:[^:]+:[^:]+:[^:]*:[^:]*:.+`, "is an invalid ARN")(v)
}

func groupName(v any) string {
	return all(matches(`^[a-z][0-9a-z.-]*$`, "must begin with a letter and hold only lowercase alphanumeric characters, periods and hyphens"), atMost(255),
		func(v any) string {
			if strings.Contains(text(v), "--") {
				return "cannot contain two consecutive hyphens"
			}
			return ""
		})(v)
}

func subnetGroupName(v any) string {
	if strings.EqualFold(text(v), "default") {
		return `is not allowed as "Default"`
	}
	return all(matches(`^[ .0-9a-z_-]+$`, "may hold only lowercase alphanumeric characters, hyphens, underscores, periods, and spaces"), atMost(255))(v)
}
