package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// extensionsSetting is where Aurora's clients read which extensions there are;
// views.sql shows it in pg_settings.
const extensionsSetting = "rds.extensions"

// auroraExtension is how AWS's drivers tell Aurora from RDS for PostgreSQL. It is
// the only name in the list that stands for no extension: Aurora has functions in
// it that are more than what we know.
const auroraExtension = "aurora_stat_utils"

// extensions are those that the master user can create, as Aurora lists them.
func (i Installation) extensions() (string, error) {
	files, err := filepath.Glob(filepath.Join(i.ShareDir, "extension", "*.control"))
	if err != nil {
		return "", err
	}
	names := []string{auroraExtension}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".control")
		if strings.Contains(name, "--") { // what differs in one version
			continue
		}
		control, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("look at the extensions of this host: %w", err)
		}
		if forEverybody(string(control)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", "), nil
}

var (
	isTrusted       = regexp.MustCompile(`(?im)^\s*trusted\s*=?\s*'?(true|on|yes|1)\b`)
	needNoSuperuser = regexp.MustCompile(`(?im)^\s*superuser\s*=?\s*'?(false|off|no|0)\b`)
)

// forEverybody says whether a control file lets others than superusers create the
// extension.
func forEverybody(control string) bool {
	return isTrusted.MatchString(control) || needNoSuperuser.MatchString(control)
}
