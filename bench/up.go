package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const upRounds = 3

// benchUp times 'daybreak up paas' on a running server, from the command to the
// first committed write and to the first answer of the reader.
func benchUp(s *server) error {
	var toUp, toWrite, toRead []time.Duration
	steps := map[string][]time.Duration{}
	var order []string
	for i := range upRounds {
		name := fmt.Sprint("up", i)
		start := time.Now()
		d, err := s.up(name)
		if err != nil {
			return err
		}
		toUp = append(toUp, time.Since(start))
		if err := until(s.dsn(d.Endpoints.Writer), "create table t(n int)"); err != nil {
			return err
		}
		toWrite = append(toWrite, time.Since(start))
		if err := until(s.dsn(d.Endpoints.Reader), "select 1 where pg_is_in_recovery()"); err != nil {
			return err
		}
		toRead = append(toRead, time.Since(start))
		for _, st := range d.Steps {
			if len(steps[st.Name]) == 0 {
				order = append(order, st.Name)
			}
			steps[st.Name] = append(steps[st.Name], time.Duration(st.Seconds*float64(time.Second)))
		}
		if err := s.down(name); err != nil {
			return err
		}
	}
	title(fmt.Sprintf("daybreak up paas, running server, embedded provider (median of %d)", upRounds))
	heading("from the command to", "time")
	row("the end of `up`", seconds(median(toUp)))
	row("first committed write through the writer endpoint", seconds(median(toWrite)))
	row("reader endpoint answers", seconds(median(toRead)))
	for _, name := range order {
		row("of that: step "+name, seconds(median(steps[name])))
	}
	return nil
}

// until repeats a statement in new sessions until it works.
func until(dsn, sql string) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := once(dsn, sql)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func once(dsn, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}
