package render

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Dir renders the files of src into the folder dst: directories 0700, files
// 0600. Anything but folders and regular files is refused.
func Dir(src fs.FS, dst string, scope Scope) error {
	return fs.WalkDir(src, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dst, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s: not a regular file", name)
		}
		data, err := fs.ReadFile(src, name)
		if err != nil {
			return err
		}
		text, err := File(name, string(data), scope)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(text), 0o600)
	})
}

// File renders one file, by the kind that its name says it is.
func File(name, text string, scope Scope) (string, error) {
	base := path.Base(name)
	switch {
	case strings.HasSuffix(base, ".tf.json") || strings.HasSuffix(base, ".tfvars.json"):
		return jsonFile(name, text, scope)
	case strings.HasSuffix(base, ".tf") || strings.HasSuffix(base, ".tfvars"):
		return configuration(name, text, scope)
	}
	return text, nil
}

// jsonFile fills the placeholders of a JSON file: in strings as text, elsewhere
// as JSON values.
func jsonFile(file, text string, scope Scope) (string, error) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); {
		expr, n := placeholder(text[i:])
		if n == 0 {
			n = 1
			switch {
			case quoted && text[i] == '\\' && i+1 < len(text):
				n = 2
			case text[i] == '"':
				quoted = !quoted
			}
			b.WriteString(text[i : i+n])
			i += n
			continue
		}
		value, err := Eval(expr, scope)
		var filled string
		if err == nil {
			filled, err = inJSON(value)
		}
		if err != nil {
			return "", fmt.Errorf("%s:%d: {{ %s }}: %w", file, 1+strings.Count(text[:i], "\n"), expr, err)
		}
		if s, isText := value.(string); isText && !quoted && !isNumber(s) && s != "true" && s != "false" {
			filled = `"` + filled + `"`
		}
		b.WriteString(filled)
		i += n
	}
	return b.String(), nil
}
