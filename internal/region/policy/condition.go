package policy

import (
	"net/netip"
	"slices"
	"strings"
)

// truth is what can be known of a condition.
type truth int

const (
	no truth = iota
	yes
	unknown // the request says nothing of the key, or the operator is not evaluated
)

func (t truth) and(other truth) truth {
	switch {
	case t == no || other == no:
		return no
	case t == unknown || other == unknown:
		return unknown
	}
	return yes
}

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// operators are those that are evaluated: whether a value of the policy matches
// that of the request.
var operators = map[string]func(pattern, value string) bool{
	"StringEquals":           func(p, v string) bool { return p == v },
	"StringEqualsIgnoreCase": strings.EqualFold,
	"StringLike":             like,
	"ArnEquals":              like,
	"ArnLike":                like,
	"Bool":                   strings.EqualFold,
	"IpAddress":              within,
}

// negations are operators that hold when another one does not.
var negations = map[string]string{
	"StringNotEquals": "StringEquals", "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase", "StringNotLike": "StringLike",
	"ArnNotEquals": "ArnEquals", "ArnNotLike": "ArnLike", "NotIpAddress": "IpAddress",
}

// known says whether AWS has an operator. Those of numbers, dates, binary values
// and sets exist, and are not evaluated here.
func known(operator string) bool {
	name := strings.TrimSuffix(operator, "IfExists")
	for _, set := range []string{"ForAllValues:", "ForAnyValue:"} {
		name = strings.TrimPrefix(name, set)
	}
	others := []string{
		"Null", "BinaryEquals",
		"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
		"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
	}
	return operators[name] != nil || negations[name] != "" || slices.Contains(others, name)
}

// condition evaluates all conditions of a statement.
func (r Request) condition(conditions map[string]map[string]words) truth {
	result := yes
	for operator, keys := range conditions {
		for key, values := range keys {
			result = result.and(r.compare(operator, strings.ToLower(key), values))
		}
	}
	return result
}

func (r Request) compare(operator, key string, patterns []string) truth {
	value, told := r.Keys[key]
	if !told {
		return unknown
	}
	if operator == "Null" {
		return truthOf(slices.Contains(patterns, map[bool]string{true: "true", false: "false"}[value == nil]))
	}
	name, ifExists := strings.CutSuffix(operator, "IfExists")
	positive, negated := negations[name]
	if negated {
		name = positive
	}
	match := operators[name]
	if match == nil {
		return unknown
	}
	if value == nil {
		return truthOf(negated || ifExists)
	}
	matched := no
	for _, pattern := range patterns {
		text, ok := r.substitute(pattern)
		switch {
		case !ok && matched == no:
			matched = unknown
		case ok && match(text, *value):
			matched = yes
		}
	}
	if matched != unknown && negated {
		return truthOf(matched == no)
	}
	return matched
}

// substitute puts what is known in place of a pattern's variables, as
// ${aws:username}; false if there is one that is not known.
func (r Request) substitute(pattern string) (string, bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(pattern, "${")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		name, after, closed := strings.Cut(rest, "}")
		value := r.Keys[strings.ToLower(name)]
		if !closed || value == nil {
			return "", false
		}
		b.WriteString(*value)
		pattern = after
	}
}

func within(pattern, value string) bool {
	address, err := netip.ParseAddr(value)
	if err != nil {
		return false
	}
	if single, err := netip.ParseAddr(pattern); err == nil {
		return single == address.Unmap()
	}
	prefix, err := netip.ParsePrefix(pattern)
	return err == nil && prefix.Contains(address.Unmap())
}

// like matches text with a pattern in which * stands for any characters and ?
// for one.
func like(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
