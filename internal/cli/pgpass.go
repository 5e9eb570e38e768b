package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// pgpass is a deployment's password file in libpq's format, mode 0600. Its last
// line holds for every host, so that the password is known before there is one.
type pgpass struct {
	path     string
	password string
}

func openPgpass(path string) (*pgpass, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &pgpass{path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("password file: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	fields := splitPgpass(lines[len(lines)-1])
	if len(fields) != 5 {
		return nil, fmt.Errorf("password file %s is not in pgpass format", path)
	}
	return &pgpass{path: path, password: fields[4]}, nil
}

// keep writes the password before any endpoint is known.
func (p *pgpass) keep() error { return p.write(nil) }

// save writes a line for each endpoint.
func (p *pgpass) save(d rest.Deployment) error {
	user, _ := d.Outputs["master_username"].(string)
	if user == "" {
		user = "*"
	}
	var lines []string
	for _, name := range []string{"writer", "reader"} {
		if e, ok := d.Endpoints[name]; ok {
			lines = append(lines, fmt.Sprintf("%s:%d:*:%s:%s", escapePgpass(e.Host), e.Port, escapePgpass(user), escapePgpass(p.password)))
		}
	}
	return p.write(lines)
}

func (p *pgpass) write(lines []string) error {
	lines = append(lines, "*:*:*:*:"+escapePgpass(p.password))
	return layout.WriteFile(p.path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

func escapePgpass(s string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(s)
}

// splitPgpass splits a line at the colons that are not escaped.
func splitPgpass(line string) []string {
	fields := []string{""}
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line):
			i++
			fields[len(fields)-1] += string(line[i])
		case line[i] == ':':
			fields = append(fields, "")
		default:
			fields[len(fields)-1] += string(line[i])
		}
	}
	return fields
}
