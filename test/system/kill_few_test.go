//go:build !campaign

package system

import "time"

// kills are those that every run of the tests makes.
func kills() []kill {
	return []kill{
		{"control", "plan", 0},
		{"control", "apply", 1500 * time.Millisecond},
		{"terraform", "apply", 500 * time.Millisecond},
	}
}
