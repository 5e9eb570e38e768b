package postgres

import (
	"regexp"
	"strings"
)

var (
	// ownLine is a line of the log that no client made a server write: it names
	// neither an address nor a user (log_line_prefix).
	ownLine = regexp.MustCompile(`(?m)^[-0-9]+ [:0-9]+ \S+?::@:\[(\d+)\]:(\w+):  ?(.*)$`)
	// startupEnded is how a server says that its recovery failed: by itself, or in a
	// crash of its own. One that was killed, as for want of memory, is not meant.
	startupEnded = regexp.MustCompile(`startup process \(PID (\d+)\) (exited with exit code [1-9]|was terminated by signal (4|6|7|8|11)\b)`)
	// notTheData are reasons that another data directory would not mend: no room, no
	// permission, no memory, settings, and what others ask of the server.
	notTheData = regexp.MustCompile(`(?i)no space left|quota exceeded|permission denied|operation not permitted|read-only file system|` +
		`cannot allocate memory|out of memory|too many open files|shared memory|semaphore|could not (fsync|write|extend)|` +
		`configuration file|invalid value for parameter|\bparameter "|could not access file|could not load library|` +
		`lock file|unix-domain socket|could not bind|wrong ownership|invalid permissions|insufficient parameter settings|` +
		`received \w+ shutdown request`)
)

// startError is what the last run of the server, which has ended, says of its end.
func (s Server) startError() *StartError {
	early, late := s.lastRun()
	// Nobody can connect before the log has its collector: all of that is the server's.
	log := strings.TrimSpace(early + ownLines(late))
	return &StartError{Log: lastBytes([]byte(log), logTail), Reason: failure(early, late)}
}

// failure finds what kept a server from going on with its data directory in what it
// wrote in one run; empty if it was something else.
func failure(early, late string) string {
	lines := ownLine.FindAllStringSubmatch(early+late, -1)
	pid, reason := "", ""
	for _, l := range lines {
		if ended := startupEnded.FindStringSubmatch(l[3]); ended != nil {
			pid, reason = ended[1], l[3]
		}
	}
	for _, l := range lines {
		about := isFatal(l[2]) || l[1] == pid || strings.HasPrefix(l[3], "received ")
		if about && notTheData.MatchString(l[3]) {
			return ""
		}
		if isFatal(l[2]) && (l[1] == pid || late == "") {
			reason = l[3]
		}
	}
	return lastBytes([]byte(reason), maxReason)
}

// maxReason is how much of a line is told.
const maxReason = 500

func isFatal(level string) bool { return level == "FATAL" || level == "PANIC" }

func fatal(text string) bool {
	for _, l := range ownLine.FindAllStringSubmatch(text, -1) {
		if isFatal(l[2]) {
			return true
		}
	}
	return false
}

// ownLines are the lines of a log that no client made the server write: those of
// others may be secret.
func ownLines(text string) string {
	return strings.Join(ownLine.FindAllString(text, -1), "\n")
}
