package main

import (
	"os"
	"os/exec"
)

// benchRegion measures lists and lookups of 10 to 10,000 clusters that are records
// without servers, their memory, and moto beside them where it is installed. The
// records need the region's own state, so that this runs a benchmark of its tests.
func benchRegion(*server) error {
	title("Describe actions at 10, 100, 1,000 and 10,000 clusters of an instance each, by a user of IAM")
	addr, stop, err := startMoto()
	if err != nil {
		return err
	}
	peer := []string{}
	if addr != "" {
		defer stop()
		peer = append(peer, "DAYBREAK_BENCH_PEER=http://"+addr)
	}
	cmd := exec.Command("go", "test", "-run", "Nothing", "-bench", "^BenchmarkRegion$", "-benchtime", regionCalls, "-timeout", "30m", "./internal/region")
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), peer...), os.Stdout, os.Stderr
	return cmd.Run()
}

// regionCalls is for how long each call is repeated: a list of 10,000 takes seconds.
const regionCalls = "3s"
