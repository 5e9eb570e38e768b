package postgres

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// hasControl says whether a text has characters that no quoting carries safely
// through every format: line ends, NUL, other control characters, broken UTF-8.
func hasControl(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl)
}

// quoteIdent quotes an SQL identifier.
func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// quoteLiteral quotes an SQL string, for standard_conforming_strings on or off.
func quoteLiteral(s string) string {
	s = strings.ReplaceAll(s, `'`, `''`)
	if strings.Contains(s, `\`) {
		return `E'` + strings.ReplaceAll(s, `\`, `\\`) + `'`
	}
	return `'` + s + `'`
}

// quoteSetting quotes a value in postgresql.conf.
func quoteSetting(s string) string {
	return `'` + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + `'`
}

// quoteConninfo quotes a value in a libpq connection string.
func quoteConninfo(s string) string {
	return `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + `'`
}

// escapePassfile escapes a field of a libpq password file.
func escapePassfile(s string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(s)
}
