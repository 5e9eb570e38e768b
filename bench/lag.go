package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	lagClients = 4
	lagRate    = 250 // rows a second of each client
	lagRounds  = 3
	lagTime    = 10 * time.Second
)

// benchLag measures how long after its acknowledgement a commit is seen at a
// reader, beside PostgreSQL's own streaming replication.
func benchLag(s *server) error {
	d, err := s.up("lag", "--param", "readReplicaCount=1")
	if err != nil {
		return err
	}
	p := &peer{dir: filepath.Join(s.dir, "streaming")}
	defer p.stop()
	if err := p.start(""); err != nil {
		return err
	}
	standby, err := p.standby()
	if err != nil {
		return err
	}
	defer standby.stop()
	paths := []lagPath{
		{"Daybreak, through its endpoints", s.dsn(d.Endpoints.Writer), s.dsn(d.Endpoints.Reader)},
		{"PostgreSQL's streaming replication, unix sockets", p.dsn(), standby.dsn()},
	}
	title(fmt.Sprintf("Replica lag at %d commits/s: from a commit's acknowledgement until a reader shows it (%d runs of %v, interleaved)", lagClients*lagRate, lagRounds, lagTime))
	heading("path", "commits/s", "p50", "p99", "worst")
	lags := make([][]time.Duration, len(paths))
	for range lagRounds {
		for i, path := range paths {
			l, err := path.measure()
			if err != nil {
				return fmt.Errorf("%s: %w", path.name, err)
			}
			lags[i] = append(lags[i], l...)
		}
	}
	for i, path := range paths {
		l := lags[i]
		slices.Sort(l)
		rate := float64(len(l)) / (lagRounds * lagTime.Seconds())
		row(path.name, fmt.Sprintf("%.0f", rate), millis(percentile(l, 0.5)), millis(percentile(l, 0.99)), millis(l[len(l)-1]))
	}
	return nil
}

type lagPath struct{ name, writer, reader string }

// commit is one that a client was told of.
type commit struct {
	client int
	at     time.Time
}

// measure has clients commit at their rate, and asks the reader all the time for
// the newest row of each.
func (p lagPath) measure() ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lagTime+time.Minute)
	defer cancel()
	setup, err := pgx.Connect(ctx, p.writer)
	if err != nil {
		return nil, err
	}
	defer setup.Close(context.Background())
	if _, err := setup.Exec(ctx, "DROP TABLE IF EXISTS lag; CREATE TABLE lag (client int, n int, PRIMARY KEY (client, n))"); err != nil {
		return nil, err
	}
	reader, err := pgx.Connect(ctx, p.reader)
	if err != nil {
		return nil, err
	}
	defer reader.Close(context.Background())
	err = eventually(time.Minute, func(ctx context.Context) error {
		_, err := reader.Exec(ctx, "SELECT FROM lag")
		return err
	})
	if err != nil {
		return nil, err
	}
	commits := make(chan commit, 1<<16)
	failed := make(chan error, lagClients)
	for client := range lagClients {
		go func() { failed <- p.commit(ctx, client, commits) }()
	}
	return follow(ctx, reader, commits, failed)
}

func (p lagPath) commit(ctx context.Context, client int, commits chan<- commit) error {
	conn, err := pgx.Connect(ctx, p.writer)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	tick := time.NewTicker(time.Second / lagRate)
	defer tick.Stop()
	for n, end := 1, time.Now().Add(lagTime); time.Now().Before(end); n++ {
		<-tick.C
		if _, err := conn.Exec(ctx, "INSERT INTO lag VALUES ($1, $2)", client, n); err != nil {
			return err
		}
		commits <- commit{client, time.Now()}
	}
	return nil
}

// follow returns the lag of each commit when the reader has shown all of them.
func follow(ctx context.Context, reader *pgx.Conn, commits <-chan commit, failed <-chan error) (lags []time.Duration, err error) {
	var acked [lagClients][]time.Time // of row n at n-1
	var shown, told [lagClients]int
	newest := "SELECT"
	for client := range lagClients {
		if client > 0 {
			newest += ","
		}
		newest += " (SELECT coalesce(max(n), 0) FROM lag WHERE client = " + strconv.Itoa(client) + ")"
	}
	for running := lagClients; running > 0 || shown != told; {
		if err := reader.QueryRow(ctx, newest).Scan(&shown[0], &shown[1], &shown[2], &shown[3]); err != nil {
			return nil, err
		}
		seen := time.Now()
		for more := true; more; {
			select {
			case c := <-commits:
				acked[c.client] = append(acked[c.client], c.at)
			case err := <-failed:
				if err != nil {
					return nil, err
				}
				running--
			default:
				more = false
			}
		}
		for client := range acked {
			for told[client] < min(shown[client], len(acked[client])) {
				lags = append(lags, max(0, seen.Sub(acked[client][told[client]])))
				told[client]++
			}
		}
	}
	if len(lags) == 0 {
		return nil, errors.New("no commit was seen")
	}
	return lags, nil
}

func (p *peer) dsn() string { return "host=" + p.dir + " user=bench dbname=postgres" }

// standby makes one that follows p by streaming replication.
func (p *peer) standby() (*peer, error) {
	s := &peer{dir: p.dir + "-standby"}
	if err := os.MkdirAll(s.dir, 0o777); err != nil {
		return nil, err
	}
	if err := os.Chmod(s.dir, 0o777); err != nil {
		return nil, err
	}
	data := filepath.Join(s.dir, "data")
	if err := s.run(pgBin+"pg_basebackup", "-d", p.dsn(), "-D", data, "-R", "-c", "fast"); err != nil {
		return nil, err
	}
	settings := "-c unix_socket_directories=" + s.dir
	return s, s.run(pgBin+"pg_ctl", "-D", data, "-w", "-l", filepath.Join(s.dir, "log"), "-o", settings, "start")
}
