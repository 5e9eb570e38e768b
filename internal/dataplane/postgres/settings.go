package postgres

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	kB = 1 << 10
	mB = 1 << 20
)

// Config is what the caller decides about the settings.
type Config struct {
	Memory int64 // bytes that the server should live in
	// Parameters are the tenant's. A bad one is a *ParameterError. Those that
	// the service decides (shared_buffers and other mandatory settings) have no
	// effect.
	Parameters map[string]string
	Upstream   *Upstream // whom a standby follows; a primary ignores it
}

// defaults are what a tenant may change. Where Aurora's own default fits a
// server that shares its host and its page cache with others, it is Aurora's.
func defaults(memory int64) map[string]string {
	return map[string]string{
		"max_connections":                     strconv.FormatInt(clamp(memory/9531392, 30, 5000), 10),
		"effective_cache_size":                size(memory / 4 * 3),
		"maintenance_work_mem":                size(clamp(memory/64, 16*mB, 1<<30)),
		"autovacuum_work_mem":                 size(clamp(memory/64, 16*mB, 1<<30)),
		"autovacuum_naptime":                  "15s",
		"autovacuum_vacuum_scale_factor":      "0.1",
		"autovacuum_analyze_scale_factor":     "0.05",
		"default_text_search_config":          "pg_catalog.english",
		"hot_standby_feedback":                "on",
		"idle_in_transaction_session_timeout": "24h",
		"log_rotation_age":                    "60min",
		"log_rotation_size":                   "100000kB",
		"log_timezone":                        "UTC",
		"max_standby_archive_delay":           "14s",
		"max_standby_streaming_delay":         "14s",
		"shared_preload_libraries":            "pg_stat_statements",
		"timezone":                            "UTC",
		"track_activity_query_size":           "4096",
		"track_functions":                     "pl",
		"track_io_timing":                     "on",
		"wal_level":                           "replica",
		"wal_receiver_timeout":                "30s",
	}
}

// mandatory are ours: a tenant's value is accepted, as Aurora accepts it, and has
// no effect.
func (s Server) mandatory(memory int64) map[string]string {
	return map[string]string{
		"cluster_name":                 s.Name,
		"full_page_writes":             "on",
		"fsync":                        "on",
		"hba_file":                     s.hbaFile(),
		"hot_standby":                  "on",
		"huge_pages":                   "off",
		"listen_addresses":             "",
		"log_destination":              "stderr",
		"log_directory":                s.LogDir(),
		"log_file_mode":                "0600",
		"log_filename":                 "postgresql.log.%Y-%m-%d-%H%M",
		"log_line_prefix":              "%t:%r:%u@%d:[%p]:",
		"log_truncate_on_rotation":     "off",
		"logging_collector":            "on",
		"max_replication_slots":        "20",
		"max_wal_senders":              "20",
		"password_encryption":          "scram-sha-256",
		"port":                         strconv.Itoa(Port),
		"max_slot_wal_keep_size":       "8GB",
		"restart_after_crash":          "off", // a crash begins a new term of the log
		"shared_buffers":               size(max(memory/4, 16*mB)),
		"ssl":                          "off",
		"unix_socket_directories":      `"` + strings.ReplaceAll(s.SocketDir, `"`, `""`) + `"`,
		"unix_socket_permissions":      "0700",
		"wal_keep_size":                "256MB",
		"wal_receiver_status_interval": "1s",
		"wal_retrieve_retry_interval":  "200ms",
	}
}

// reserved says why a tenant may not set a parameter at all; empty: it may.
// These lead to files, programs or the network, break replication or the
// promise that a commit is on disk, or are not settings but directives.
func reserved(name string) string {
	for _, suffix := range []string{"_command", "_file", "_directory", "_directories", "_library_path", "_keyfile", "_destdir"} {
		if strings.HasSuffix(name, suffix) {
			return "it leads to files or programs of the host"
		}
	}
	for _, prefix := range []string{"include", "primary_", "recovery_", "ssl_", "unix_socket_", "bonjour", "syslog_", "krb_", "ignore_", "debug_", "pre_auth_", "post_auth_"} {
		if strings.HasPrefix(name, prefix) {
			return "it is set by the service"
		}
	}
	if slices.Contains([]string{
		"allow_system_table_mods", "allow_in_place_tablespaces", "archive_library", "archive_mode",
		"cluster_name", "config_file", "data_sync_retry", "db_user_namespace", "dynamic_shared_memory_type", "event_source",
		"exit_on_error", "jit_provider", "local_preload_libraries", "port", "restart_after_crash",
		"session_preload_libraries", "shared_memory_type", "synchronous_standby_names",
		"wal_log_hints", "wal_sync_method", "zero_damaged_pages",
	}, name) {
		return "it is set by the service"
	}
	return ""
}

// settings are all settings of a configuration, the tenant's checked as far as
// they can be without PostgreSQL.
func (s Server) settings(c Config) (map[string]string, error) {
	all := defaults(c.Memory)
	for name, value := range c.Parameters {
		name = strings.ToLower(name)
		if err := s.checkParameter(name, value); err != nil {
			return nil, err
		}
		all[name] = value
	}
	maps.Copy(all, s.mandatory(c.Memory))
	extensions, err := s.Installation.extensions()
	if err != nil {
		return nil, err
	}
	all[extensionsSetting] = extensions
	all["primary_conninfo"], all["primary_slot_name"] = "", ""
	if c.Upstream != nil {
		if err := c.Upstream.check(); err != nil {
			return nil, err
		}
		all["primary_conninfo"] = s.conninfo(*c.Upstream)
		all["primary_slot_name"] = c.Upstream.Slot
	}
	return all, nil
}

func (s Server) checkParameter(name, value string) error {
	refuse := func(reason string) error {
		return &ParameterError{Name: name, Value: value, Reason: reason}
	}
	switch {
	case !isParameterName(name):
		return refuse("it is not a parameter's name")
	case reserved(name) != "":
		return refuse(reserved(name))
	case hasControl(value):
		return refuse("it has a control character")
	case name == "wal_level" && value != "replica" && value != "logical":
		return refuse("replica and logical are allowed")
	case name == "shared_preload_libraries":
		return s.checkLibraries(value)
	}
	return nil
}

func isParameterName(name string) bool {
	return regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`).MatchString(name)
}

// checkLibraries accepts modules that are installed, by their bare names: a
// missing one would keep the server from starting.
func (s Server) checkLibraries(value string) error {
	for library := range strings.SplitSeq(value, ",") {
		library = strings.TrimSpace(library)
		if library == "" {
			continue
		}
		known := regexp.MustCompile(`^[A-Za-z0-9_]+$`).MatchString(library)
		if known {
			_, err := os.Stat(filepath.Join(s.Installation.LibDir, library+".so"))
			known = err == nil
		}
		if !known {
			return &ParameterError{Name: "shared_preload_libraries", Value: value, Reason: fmt.Sprintf("there is no library %q on this host", library)}
		}
	}
	return nil
}

// conninfo is how a standby reaches its upstream.
func (s Server) conninfo(u Upstream) string {
	return fmt.Sprintf("host=%s port=%d user=%s passfile=%s application_name=%s sslmode=disable gssencmode=disable",
		quoteConninfo(u.SocketDir), Port, ReplicationRole, quoteConninfo(s.passfile()), quoteConninfo(s.Name))
}

// size is a number of bytes as PostgreSQL writes sizes, in whole pages.
func size(bytes int64) string { return strconv.FormatInt(bytes/(8*kB)*8, 10) + "kB" }

func clamp(n, low, high int64) int64 { return max(low, min(n, high)) }
