package iam

import (
	"maps"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/policy"
)

// Limits of AWS.
const (
	maxTags          = 50
	maxAccessKeys    = 2
	maxVersions      = 5
	maxAttached      = 10
	maxManagedSize   = 6144
	maxInlineSize    = 10240
	maxTrustSize     = 2048
	defaultSession   = 3600
	maxSessionLength = 43200
)

func invalid(format string, args ...any) error {
	return awswire.BadRequestf("ValidationError", format, args...)
}

func noSuchEntity(format string, args ...any) error {
	return awswire.Errorf(http.StatusNotFound, "NoSuchEntity", format, args...)
}

func exists(format string, args ...any) error {
	return awswire.Errorf(http.StatusConflict, "EntityAlreadyExists", format, args...)
}

func conflict(format string, args ...any) error {
	return awswire.Errorf(http.StatusConflict, "DeleteConflict", format, args...)
}

func limitExceeded(format string, args ...any) error {
	return awswire.Errorf(http.StatusConflict, "LimitExceeded", format, args...)
}

// unavailable refuses an option that the region does not have.
func unavailable(parameter string, given bool) error {
	if !given {
		return nil
	}
	return awswire.BadRequestf("InvalidInput", "The parameter %s is not available in this region yet. Leave it out.", parameter)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkName(parameter, name string, longest int) error {
	if !regexp.MustCompile(`^[\w+=,.@-]+$`).MatchString(name) || len(name) > longest {
		return invalid("The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: "+
			"+=,.@_- and have at most %d characters.", parameter, longest)
	}
	return nil
}

// checkPath returns the path, "/" if none was given.
func checkPath(path *string) (string, error) {
	p := aws.ToString(path)
	if path == nil {
		p = "/"
	}
	if !regexp.MustCompile(`^/([\x21-\x7e]+/)?$`).MatchString(p) || len(p) > 512 {
		return "", invalid("The specified value for path is invalid. It must begin and end with / and contain only " +
			"alphanumeric characters and/or / characters.")
	}
	return p, nil
}

// mergeTags adds tags to those that are there.
func mergeTags(have map[string]string, more []types.Tag) (map[string]string, error) {
	tags := maps.Clone(have)
	if tags == nil {
		tags = map[string]string{}
	}
	seen := map[string]bool{}
	for _, tag := range more {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128:
			return nil, invalid("A tag's key must have 1 to 128 characters.")
		case utf8.RuneCountInString(value) > 256:
			return nil, invalid("A tag's value must have at most 256 characters.")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, awswire.BadRequestf("InvalidInput", "Tag keys that begin with aws: are reserved.")
		case seen[strings.ToLower(key)]:
			return nil, awswire.BadRequestf("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[strings.ToLower(key)] = true
		for old := range tags {
			if strings.EqualFold(old, key) {
				delete(tags, old)
			}
		}
		tags[key] = value
	}
	if len(tags) > maxTags {
		return nil, limitExceeded("Cannot exceed quota for TagsPerResource: %d", maxTags)
	}
	return tags, nil
}

// parse checks a document of one kind.
func parse(document string, longest int, check func(policy.Document) error) error {
	if len(document) > longest {
		return limitExceeded("Cannot exceed quota for PolicySize: %d", longest)
	}
	d, err := policy.Parse(document)
	if err == nil {
		err = check(d)
	}
	if err != nil {
		return awswire.BadRequestf("MalformedPolicyDocument", "%s.", upperFirst(err.Error()))
	}
	return nil
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func pages() awswire.PageLimits {
	return awswire.PageLimits{Min: 1, Max: 1000, Default: 100, Parameter: "MaxItems", Code: "ValidationError"}
}
