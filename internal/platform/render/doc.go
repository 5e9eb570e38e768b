// Package render fills the templates of a stack, {{ $sys.id }} or
// {{ $var.password }}, knowing where in Terraform's language each one stands, so
// that a value can never leave its place: in a quoted string it becomes part of
// that string, elsewhere one literal. The package is pure text: it knows neither
// plans nor where values come from.
//
// Templates are filled in .tf, .tofu and .tfvars files and their .json forms.
// Other files of a stack (scripts, sources of templatefile) are copied as they
// are; a template in a comment stays as it is.
package render
