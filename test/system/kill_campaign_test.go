//go:build campaign

package system

import "time"

// kills are every process in every step, and often in the long one. It takes
// about ten minutes: go test -tags campaign -timeout 40m -run Kill ./test/system
func kills() []kill {
	var all []kill
	for _, process := range []string{"control", "terraform", "node", "log", "endpoint", "etcd", "supervisor"} {
		for _, step := range []string{"render", "init", "validate", "plan", "outputs", "endpoints"} {
			all = append(all, kill{process, step, 0})
		}
		for after := range 6 {
			all = append(all, kill{process, "apply", time.Duration(after) * 500 * time.Millisecond})
		}
	}
	return all
}
