package postgres

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBadParametersAreRefusedAndChangeNothing(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	before, err := os.ReadFile(s.configFile())
	if err != nil {
		t.Fatal(err)
	}
	for name, parameters := range map[string]map[string]string{
		"unknown":                {"no_such_setting": "1"},
		"no number":              {"work_mem": "lots"},
		"out of range":           {"max_connections": "0"},
		"no such library":        {"shared_preload_libraries": "pg_stat_statements,nosuch"},
		"library by path":        {"shared_preload_libraries": "/tmp/evil"},
		"program":                {"archive_command": "touch /tmp/x"},
		"file of the host":       {"ssl_key_file": "/etc/shadow"},
		"include directive":      {"include": "/etc/passwd"},
		"library for sessions":   {"session_preload_libraries": "x"},
		"newline in a value":     {"search_path": "a'\narchive_command = 'x"},
		"newline in a name":      {"work_mem = 1\narchive_command": "x"},
		"less WAL than standbys": {"wal_level": "minimal"},
		"reserved above maximum": {"max_connections": "10", "superuser_reserved_connections": "20"},
		"more than the memory":   {"max_locks_per_transaction": "2000000"},
		"other commit rules":     {"synchronous_standby_names": "*"},
	} {
		_, err := s.Configure(testContext(t), Config{Memory: testMemory, Parameters: parameters})
		var refused *ParameterError
		if !errors.As(err, &refused) || refused.Reason == "" {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, ok := parameters[refused.Name]; len(parameters) == 1 && !ok && refused.Name != "" {
			t.Errorf("%s: blames %q", name, refused.Name)
		}
		t.Logf("%s: %v", name, err)
	}
	if after, err := os.ReadFile(s.configFile()); err != nil || string(after) != string(before) {
		t.Errorf("a refused configuration was written: %v", err)
	}
	if err := p.Reload(); err != nil {
		t.Error(err)
	}
}

func TestParametersTakeEffectOnReloadOrRestart(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	odd := `it's \ 100%`
	config := Config{Memory: testMemory, Parameters: map[string]string{
		"Work_Mem": "7MB", "max_connections": "44", "rds.note": odd, "shared_buffers": "1GB",
	}}
	for _, want := range []bool{true, false} {
		if changed, err := s.Configure(testContext(t), config); err != nil || changed != want {
			t.Fatalf("changed %v, %v, want %v", changed, err, want)
		}
	}
	if err := p.Reload(); err != nil {
		t.Fatal(err)
	}
	conn := master(t, s, tenantDatabase)
	eventually(t, "the server has read its configuration", func() bool { return value[string](t, conn, `SHOW work_mem`) == "7MB" })
	if got := value[string](t, conn, `SHOW rds.note`); got != odd {
		t.Errorf("the value came out as %q, want %q", got, odd)
	}
	st, err := s.Status(testContext(t))
	if err != nil || !slices.Equal(st.PendingRestart, []string{"max_connections"}) || st.MaxConnections != 30 {
		t.Errorf("status is %+v, %v", st, err)
	}
	if err := p.Stop(testContext(t), StopFast, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	again, err := s.Start(testContext(t), map[string]string{"work_mem": "9MB"})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Ready(testContext(t)); err != nil {
		t.Fatal(err)
	}
	st, err = s.Status(testContext(t))
	if err != nil || st.MaxConnections != 44 || len(st.PendingRestart) != 0 || st.SharedBuffers != testMemory/4 {
		t.Errorf("status after the restart is %+v, %v", st, err)
	}
	if got := value[string](t, master(t, s, tenantDatabase), `SHOW work_mem`); got != "9MB" {
		t.Errorf("work_mem is %s, want the command line's", got)
	}
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	s := newServer(t, workDir(t), "primary")
	if err := s.Init(testContext(t), options()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Configure(testContext(t), Config{Memory: testMemory}); err != nil {
		t.Fatal(err)
	}
	p, err := s.Start(testContext(t), map[string]string{"shared_preload_libraries": "nosuch"})
	if err != nil {
		t.Fatal(err)
	}
	var failed *StartError
	if err := p.Ready(testContext(t)); !errors.As(err, &failed) || !strings.Contains(failed.Log, "nosuch") {
		t.Errorf("the error is %v", err)
	}
}

func TestNoSettingIsBothATenantsDefaultAndOurs(t *testing.T) {
	ours := Server{}.mandatory(testMemory)
	for name := range maps.Keys(defaults(testMemory)) {
		if _, both := ours[name]; both || reserved(name) != "" {
			t.Errorf("%s is in two tables", name)
		}
	}
}

func TestServersThatCannotBeAreRefused(t *testing.T) {
	good := newServer(t, workDir(t), "primary")
	for name, change := range map[string]func(*Server){
		"relative directory": func(s *Server) { s.Dir = "data" },
		"line end in a path": func(s *Server) { s.SocketDir += "\nx" },
		"short password":     func(s *Server) { s.AdminPassword = "short" },
		"name with blanks":   func(s *Server) { s.Name = "a b" },
	} {
		s := good
		change(&s)
		if err := s.Init(testContext(t), options()); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
