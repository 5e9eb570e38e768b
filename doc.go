// Package daybreak is the root of the module; it holds the rules that the whole
// tree keeps, as tests. The program is in cmd/daybreak.
package daybreak
