package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

const (
	pgbenchRounds  = 3
	pgbenchSeconds = "5"
	pgbenchClients = "8"
)

// benchPgbench runs pgbench through the endpoint and, on the same server, through
// the server's own unix socket. Our servers do not listen on TCP: what that costs is
// shown by a plain PostgreSQL, at its socket and at its TCP address.
func benchPgbench(s *server) error {
	d, err := s.up("pgb", "--param", "readReplicaCount=0")
	if err != nil {
		return err
	}
	sockets, err := filepath.Glob(filepath.Join(s.dir, "data", "run", "pg", "*", ".s.PGSQL.5432"))
	if err != nil || len(sockets) != 1 {
		return fmt.Errorf("found %d server sockets, want 1: %w", len(sockets), err)
	}
	plain := &peer{dir: filepath.Join(s.dir, "plain"), tcp: true}
	defer plain.stop()
	if err := plain.start(""); err != nil {
		return err
	}
	w := d.Endpoints.Writer
	paths := []struct{ name, host, port, user, ssl string }{
		{"server, unix socket", filepath.Dir(sockets[0]), "5432", "postgres", "disable"},
		{"endpoint, plain", w.Host, strconv.Itoa(w.Port), "postgres", "disable"},
		{"endpoint, TLS", w.Host, strconv.Itoa(w.Port), "postgres", "require"},
		{"plain PostgreSQL, unix socket", plain.dir, plain.port, "bench", "disable"},
		{"plain PostgreSQL, TCP", "127.0.0.1", plain.port, "bench", "disable"},
	}
	pgbench := func(host, port, user, ssl string, args ...string) (string, error) {
		cmd := exec.Command(pgBin+"pgbench", append(args, "-h", host, "-p", port, "-U", user, "postgres")...)
		cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "PGSSLMODE="+ssl)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("pgbench: %w\n%s", err, out)
		}
		return string(out), nil
	}
	for _, p := range paths[2:4] {
		if _, err := pgbench(p.host, p.port, p.user, p.ssl, "-i", "-q", "-s", "10"); err != nil {
			return err
		}
	}
	title(fmt.Sprintf("pgbench, %s clients (median of %d runs of %s s, interleaved)", pgbenchClients, pgbenchRounds, pgbenchSeconds))
	heading("mode", "path", "tps", "of the socket's", "Daybreak's CPU per transaction")
	for _, mode := range []string{"-S", "-N"} {
		tps, cpu := map[string][]float64{}, map[string][]float64{}
		for range pgbenchRounds {
			for _, p := range paths {
				before := s.ownUsage().cpu
				start := time.Now()
				out, err := pgbench(p.host, p.port, p.user, p.ssl, mode, "-c", pgbenchClients, "-j", "2", "-T", pgbenchSeconds)
				if err != nil {
					return err
				}
				rate := parseTPS(out)
				used := s.ownUsage().cpu - before
				tps[p.name] = append(tps[p.name], rate)
				cpu[p.name] = append(cpu[p.name], used.Seconds()*1e6/(rate*time.Since(start).Seconds()))
			}
		}
		base := mid(tps[paths[0].name])
		for _, p := range paths {
			t := mid(tps[p.name])
			row(mode, p.name, fmt.Sprintf("%.0f", t), fmt.Sprintf("%.2f×", t/base), fmt.Sprintf("%.0f µs", mid(cpu[p.name])))
		}
	}
	return nil
}

var tpsLine = regexp.MustCompile(`tps = ([0-9.]+)`)

func parseTPS(out string) float64 {
	m := tpsLine.FindStringSubmatch(out)
	if m == nil {
		return 0
	}
	tps, _ := strconv.ParseFloat(m[1], 64)
	return tps
}

func mid(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
