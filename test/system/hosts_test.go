package system

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/test/harness"
)

// standing is a line of server hosts.
type standing struct {
	ID, LinkAddr, Etcd, PGVersion string
	Zones                         []string
	This, Present                 bool
}

// hostsAre is a fact: which zones' hosts are present, and how many voters there
// are, as a host sees it.
func hostsAre(in *harness.Installation, present string, voters int) func() error {
	return func() error {
		out, stderr, err := in.Try("server", "hosts")
		if err != nil {
			return fmt.Errorf("%w: %s", err, stderr)
		}
		var hosts []standing
		in.JSON(&hosts, "server", "hosts")
		var zones []string
		v := 0
		for _, h := range hosts {
			if h.Present {
				zones = append(zones, h.Zones...)
			}
			if h.Etcd == "voter" {
				v++
			}
		}
		slices.Sort(zones)
		if strings.Join(zones, "") != present || v != voters {
			return fmt.Errorf("present are %v, voters %d; want %s and %d:\n%s", zones, v, present, voters, out)
		}
		return nil
	}
}

// killHost ends every process of a host at once, as a power cut does.
func killHost(t *testing.T, in *harness.Installation) {
	t.Helper()
	pids := in.Processes()
	for _, name := range []string{"supervisor", "control", "link", "etcd", "node", "log", "endpoint"} {
		if err := syscall.Kill(pids[name], syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", name, err)
		}
	}
}

// TestHostsJoinAndAreMissedWhenTheyAreLost has three hosts on one machine, in all
// that needs no database.
func TestHostsJoinAndAreMissedWhenTheyAreLost(t *testing.T) {
	addr := harness.FreeLinkAddr(t, "127.0.0.11")
	first := harness.New(t, harness.Options{Start: []string{"--link-addr", addr, "--zones", "a"}})
	second := first.Join(t, harness.FreeLinkAddr(t, "127.0.0.12"), "b")
	harness.Eventually(t, 20*time.Second, "the second one's vote would not help", hostsAre(first, "ab", 1))
	third := second.Join(t, harness.FreeLinkAddr(t, "127.0.0.13"), "c") // any host makes tokens
	harness.Eventually(t, 20*time.Second, "three hosts that vote", hostsAre(third, "abc", 3))

	var hosts []standing
	second.JSON(&hosts, "server", "hosts")
	there := "" // the second one
	for _, h := range hosts {
		if h.This {
			there = h.ID
		}
		if h.PGVersion == "" || h.LinkAddr == "" || h.This != slices.Equal(h.Zones, []string{"b"}) {
			t.Errorf("host %+v", h)
		}
	}
	for name, c := range map[string]struct {
		in   *harness.Installation
		args []string
		want string
	}{
		"a command that needs the APIs": {third, []string{"list"}, addr},
		"other zones":                   {third, []string{"server", "start", "--zones", "a,b"}, "stands for c"},
		"joining twice":                 {third, []string{"server", "start", "--join", "x", "--link-addr", "127.0.0.1:1"}, "an installation in"},
		"removing one that is there":    {first, []string{"server", "remove-host", there}, "host " + there + " is there"},
		"removing one that never was":   {first, []string{"server", "remove-host", "nobody"}, "no host nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			if stdout, stderr, err := c.in.Try(c.args...); err == nil || !strings.Contains(stderr, c.want) {
				t.Errorf("%v: %v: %s%s, want an error with %q", c.args, err, stdout, stderr, c.want)
			}
		})
	}

	groups := 0
	write := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		groups++
		_, err := first.RDS().CreateDBParameterGroup(ctx, &rds.CreateDBParameterGroupInput{
			DBParameterGroupName: aws.String(fmt.Sprint("group-", groups)), DBParameterGroupFamily: aws.String("aurora-postgresql15"), Description: aws.String("d"),
		})
		return err
	}
	killed := time.Now()
	killHost(t, third)
	harness.Eventually(t, 15*time.Second, "the lost host is missed", hostsAre(first, "ab", 3))
	t.Logf("a lost host was missed after %v", time.Since(killed))
	harness.Eventually(t, 10*time.Second, "the state is written without it", write)
	third.Run("server", "start")
	harness.Eventually(t, 20*time.Second, "the lost host is back", hostsAre(second, "abc", 3))

	// The first one is as good as any, but for the APIs.
	killed = time.Now()
	killHost(t, first)
	harness.Eventually(t, 15*time.Second, "the first host is missed", hostsAre(second, "bc", 3))
	t.Logf("the first host was missed after %v", time.Since(killed))
	first.Run("server", "start")
	harness.Eventually(t, 20*time.Second, "the first host is back", hostsAre(third, "abc", 3))
	harness.Eventually(t, 10*time.Second, "the state is written", write)

	// One that is stopped in order can be removed for good.
	third.Run("server", "stop")
	if err := hostsAre(first, "ab", 3)(); err != nil {
		t.Errorf("right after an orderly stop: %v", err)
	}
	var id string
	for _, h := range hosts {
		if slices.Equal(h.Zones, []string{"c"}) {
			id = h.ID
		}
	}
	first.Run("server", "remove-host", id)
	harness.Eventually(t, 10*time.Second, "a removed host is none", hostsAre(second, "ab", 2))
}
