package endpoint

// A commit is there for its client when it is on the quorum of the log. When the
// wait for that is cancelled, or the session is terminated in it, PostgreSQL
// answers with a warning and then as if all were well. That must not look like
// success: the commit may be nowhere but on a writer that is about to be replaced.

// doubt is what a client is still to hear of a commit whose wait was ended.
type doubt byte

const (
	noDoubt doubt = iota
	untold        // it must hear before it hears of success
	told          // it has heard, and ReadyForQuery is to come
)

var unknownOutcome = &refusal{
	codeUnknownOutcome,
	"the outcome of the commit is unknown: the wait for the quorum of the log was ended",
	"Find out whether the transaction is there before you try it again.",
}

// endsQuorumWait says whether the body of a NoticeResponse is that warning. The
// routine has the same name in every language.
func endsQuorumWait(notice []byte) bool {
	if routine := responseField(notice, 'R'); routine != "" {
		return routine == "SyncRepWaitForLSN"
	}
	switch responseField(notice, 'M') {
	case "canceling wait for synchronous replication due to user request",
		"canceling the wait for synchronous replication and terminating connection":
		return true
	}
	return false
}

// weighDoubt judges a reply by its type, and adds to out what goes before it.
func (s *session) weighDoubt(typ byte, out []byte) (verdict, []byte) {
	switch s.doubt {
	case untold:
		switch typ {
		case 'C': // CommandComplete
			s.doubt = told
			return drop, s.sayDoubt(out)
		case 'Z': // the commit was Sync's: CommandComplete was about the statement
			s.doubt = noDoubt
			return pass, s.sayDoubt(out)
		case 'E':
			s.doubt = noDoubt
		}
	case told:
		switch typ {
		case 'Z':
			s.doubt = noDoubt
		case '3': // CloseComplete: after an error there is none
			return drop, out
		case '1', '2', 't', 'n': // ParseComplete, BindComplete, ParameterDescription, NoData
			// A pipeline goes on. To its client everything after an error was skipped,
			// which would not be true.
			s.endLocked(unknownOutcome)
			return drop, out
		}
	}
	return pass, out
}

func (s *session) sayDoubt(out []byte) []byte {
	s.proxy.metrics.unknown.Inc()
	return append(out, unknownOutcome.encodeAs("ERROR")...)
}
