package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readParams reads parameters from files and then from key=value arguments,
// which win. key=@file and key=- keep secrets out of the command line; the last
// newline of what they read is not part of the value.
func readParams(args, files []string, stdin io.Reader) (map[string]any, error) {
	params := map[string]any{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--param-file: %w", err)
		}
		var values map[string]any
		if err := yaml.Unmarshal(data, &values); err != nil {
			return nil, fmt.Errorf("--param-file %s: not a JSON or YAML object", file) // its text may be secret
		}
		for key, value := range values {
			params[key] = value
		}
	}
	stdinUsed := false
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, errors.New("--param: want key=value, key=@file or key=-")
		}
		if value == "-" {
			if stdinUsed {
				return nil, fmt.Errorf("--param %s=-: standard input can be read for one parameter only", key)
			}
			stdinUsed = true
		}
		text, err := paramValue(value, stdin)
		if err != nil {
			return nil, fmt.Errorf("--param %s: %w", key, err)
		}
		params[key] = text
	}
	return params, nil
}

func paramValue(value string, stdin io.Reader) (string, error) {
	var data []byte
	var err error
	switch {
	case value == "-":
		data, err = io.ReadAll(stdin)
	case strings.HasPrefix(value, "@"):
		data, err = os.ReadFile(value[1:])
	default:
		return value, nil
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	return text, err
}
