package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Values are parameters that were checked, by key, as text.
type Values map[string]string

// Create resolves the values of a new deployment: what was given, over the
// defaults. The error is Problems: all of them.
func (s *Service) Create(given map[string]any) (Values, error) {
	values := Values{}
	problems := s.take(given, values)
	return s.fill(values, problems)
}

// Modify resolves the values of a deployment that has values already: what was
// given, over those. Parameters that are not modifiable may be given again, but
// not differ.
func (s *Service) Modify(given map[string]any, have Values) (Values, error) {
	fresh := Values{}
	problems := s.take(given, fresh)
	values := maps.Clone(have)
	for _, p := range s.Parameters {
		value, ok := fresh[p.Key]
		switch {
		case ok && value != have[p.Key] && !p.Modifiable:
			problems = append(problems, Problem{Path: p.Key, Message: "cannot be modified: it is fixed at creation"})
		case ok:
			values[p.Key] = value
		}
	}
	// A later version of the plan may ask for more than the deployment has.
	return s.fill(values, problems)
}

// fill gives parameters without a value their default.
func (s *Service) fill(values Values, problems Problems) (Values, error) {
	for _, p := range s.Parameters {
		if _, ok := values[p.Key]; ok || problems.has(p.Key) {
			continue
		}
		if p.Default == nil {
			problems = append(problems, Problem{Path: p.Key, Message: "is required" + describe(p)})
			continue
		}
		values[p.Key] = *p.Default
	}
	return values, problems.orNil()
}

// Sensitive are the keys whose values are secret.
func (s *Service) Sensitive() []string {
	var keys []string
	for _, p := range s.Parameters {
		if p.Sensitive() {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// take checks what was given and puts it into values.
func (s *Service) take(given map[string]any, values Values) Problems {
	var problems Problems
	for _, key := range slices.Sorted(maps.Keys(given)) {
		i := slices.IndexFunc(s.Parameters, func(p Parameter) bool { return p.Key == key })
		if i < 0 {
			problems = append(problems, Problem{Path: key, Message: fmt.Sprintf("is not a parameter of this plan%s; there are: %s",
				suggest(key, s.keys()), strings.Join(s.keys(), ", "))})
			continue
		}
		p := s.Parameters[i]
		text, err := asText(given[key])
		if err != nil {
			problems = append(problems, Problem{Path: key, Message: err.Error()})
			continue
		}
		if message := p.check(text); message != "" {
			problems = append(problems, Problem{Path: key, Message: message})
			continue
		}
		values[key] = text
	}
	return problems
}

func (s *Service) keys() []string {
	keys := make([]string, len(s.Parameters))
	for i, p := range s.Parameters {
		keys[i] = p.Key
	}
	return keys
}

func (ps Problems) has(key string) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Path == key })
}

// asText is a JSON value as the text that a template inserts.
func asText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case int:
		return strconv.Itoa(v), nil
	case json.Number:
		return v.String(), nil
	case nil:
		return "", fmt.Errorf("is null: leave it out for the default")
	}
	data, err := json.Marshal(v)
	return string(data), err
}

// check says what is wrong with a value, or nothing. It never shows the value
// of a sensitive parameter.
func (p Parameter) check(text string) string {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return "is not text: it has bytes that are not UTF-8, or a NUL"
	}
	shown := fmt.Sprintf("%q ", text)
	if p.Sensitive() {
		shown = ""
	}
	if message := p.checkType(text, shown); message != "" {
		return message
	}
	length := float64(utf8.RuneCountInString(text))
	switch {
	case p.MinLength != nil && length < *p.MinLength:
		return fmt.Sprintf("%sis too short: want %v to %s characters", shown, *p.MinLength, orEnd(p.MaxLength))
	case p.MaxLength != nil && length > *p.MaxLength:
		return fmt.Sprintf("%sis too long: want at most %v characters", shown, *p.MaxLength)
	case len(p.Options) > 0 && !slices.Contains(p.Options, text):
		return fmt.Sprintf("%sis not allowed%s; allowed: %s", shown, suggest(text, p.Options), strings.Join(p.Options, ", "))
	case p.Regex != "" && !regexp.MustCompile(p.Regex).MatchString(text):
		return fmt.Sprintf("%sdoes not match %s", shown, p.Regex) + describe(p)
	}
	return ""
}

func describe(p Parameter) string {
	if p.Description == "" {
		return ""
	}
	return " (" + p.Description + ")"
}

func (p Parameter) checkType(text, shown string) string {
	switch p.Type {
	case TypeFloat64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || strings.ContainsAny(text, "nNxXpP_") {
			return shown + "is not a number"
		}
		if (p.Min != nil && n < *p.Min) || (p.Max != nil && n > *p.Max) {
			return fmt.Sprintf("%sis out of range: want %s to %s", shown, orEnd(p.Min), orEnd(p.Max))
		}
	case TypeBoolean:
		if text != "true" && text != "false" {
			return shown + "is not true or false"
		}
	case TypeJSON:
		if !json.Valid([]byte(text)) {
			return shown + "is not JSON"
		}
	}
	return ""
}

func orEnd(n *float64) string {
	if n == nil {
		return "any"
	}
	return strconv.FormatFloat(*n, 'f', -1, 64)
}

// MissingOutputs are the problems of required outputs that a stack does not
// declare.
func (t *Terraform) MissingOutputs(file string, declared []string) Problems {
	var problems Problems
	for _, o := range t.RequiredOutputs {
		if !slices.Contains(declared, o.Key) {
			problems = append(problems, Problem{File: file, Line: o.line, Column: o.column, Path: "requiredOutputs",
				Message: fmt.Sprintf("the stack in %s has no output %q%s", t.Path, o.Key, suggest(o.Key, declared))})
		}
	}
	return problems
}
