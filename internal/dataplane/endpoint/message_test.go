package endpoint

import (
	"encoding/binary"
	"slices"
	"testing"
)

func message(typ byte, body string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{typ}, uint32(4+len(body)))
	return append(b, body...)
}

type seen struct{ typ, last byte }

// walk gives the stream to a walker in pieces of this size.
func walk(stream []byte, size int) (all []seen, between bool, err error) {
	var w walker
	for piece := range slices.Chunk(stream, size) {
		for rest := piece; len(rest) > 0; {
			typ, after, done, err := w.next(rest)
			if err != nil {
				return all, false, err
			}
			if rest = after; done {
				all = append(all, seen{typ, w.last})
			}
		}
	}
	return all, w.between(), nil
}

func TestWalkerFindsTheEndsOfMessagesInAnyPieces(t *testing.T) {
	stream := slices.Concat(message('T', "columns"), message('D', ""), message('C', "SELECT 1\x00"), message('Z', "T"))
	want := []seen{{'T', 's'}, {'D', 's'}, {'C', 0}, {'Z', 'T'}}
	for size := 1; size <= len(stream); size++ {
		got, between, err := walk(stream, size)
		if err != nil || !slices.Equal(got, want) || !between {
			t.Errorf("pieces of %d: %v %v %v", size, got, between, err)
		}
	}
	if _, between, _ := walk(stream[:len(stream)-1], 7); between {
		t.Error("a cut message counts as complete")
	}
}

func TestWalkerRefusesALengthThatCannotBe(t *testing.T) {
	if _, _, err := walk([]byte{'D', 0, 0, 0, 3}, 5); err == nil {
		t.Error("length 3 accepted")
	}
}

func FuzzWalker(f *testing.F) {
	f.Add(slices.Concat(message('D', "abc"), message('Z', "I")), 3)
	f.Add([]byte{'D', 0, 0, 0, 3}, 1)
	f.Add([]byte{'D', 255, 255, 255, 255, 1}, 2)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		if size < 1 {
			return
		}
		whole, b1, err1 := walk(stream, max(1, len(stream)))
		pieces, b2, err2 := walk(stream, size)
		if !slices.Equal(whole, pieces) || b1 != b2 || (err1 == nil) != (err2 == nil) {
			t.Fatalf("whole: %v %v %v; in pieces of %d: %v %v %v", whole, b1, err1, size, pieces, b2, err2)
		}
	})
}

func FuzzSQLState(f *testing.F) {
	f.Add((&refusal{"57P03", "the database system is starting up", ""}).encode()[headerBytes:])
	f.Fuzz(func(t *testing.T, body []byte) { sqlState(body) })
}

func TestSQLStateIsFoundInAnError(t *testing.T) {
	r := &refusal{"57P03", "starting", "wait"}
	if got := sqlState(r.encode()[headerBytes:]); got != "57P03" {
		t.Errorf("%q", got)
	}
}

// The requests and replies of one exchange each, and whether the backend can be
// working afterwards. Sync during COPY has no answer (documentation, 55.2.6).
func TestProgressKnowsWhenASessionIsBetweenTransactions(t *testing.T) {
	cases := map[string]struct {
		messages string // of the client; after ">" of the server, Z with its status
		want     State
	}{
		"simple query":             {"Q>TDCZI", StateIdle},
		"running":                  {"Q>TD", StateActive},
		"in a transaction":         {"Q>CZT", StateInTransaction},
		"failed transaction":       {"Q>EZE", StateAborted},
		"extended query":           {"PBDES>12TDCZI", StateIdle},
		"extended without Sync":    {"PBDE>12TDC", StateActive},
		"flushed, then synced":     {"PBDEH>12TDC<S>ZI", StateIdle},
		"pipeline, half answered":  {"PBES PBES>12CZI", StateActive},
		"pipeline, answered":       {"PBES PBES>12CZI12CZI", StateIdle},
		"COPY in":                  {"Q>G<ddc>CZI", StateIdle},
		"COPY in, running":         {"Q>G<dd", StateActive},
		"COPY in, failed":          {"Q>G<ddf>EZI", StateIdle},
		"extended COPY in":         {"PBES>12G<ddcS>CZI", StateIdle},
		"extended COPY, running":   {"PBES>12G<ddc", StateActive},
		"COPY out":                 {"Q>HddcCZI", StateIdle},
		"notification while idle":  {"Q>CZI>A", StateIdle},
		"function call":            {"F>VZI", StateIdle},
		"several in simple query":  {"Q>TDCTDCZI", StateIdle},
		"password":                 {"p>RKZI", StateIdle},
		"query before the welcome": {"pQ>RSKZI", StateActive},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := progress{}
			if tc.messages[0] != 'p' {
				p.reply('Z', 'I')
			}
			client := true
			for i := 0; i < len(tc.messages); i++ {
				switch typ := tc.messages[i]; {
				case typ == '<' || typ == '>':
					client = typ == '<'
				case typ == ' ':
				case client:
					p.request(typ)
				case typ == 'Z':
					i++
					p.reply('Z', tc.messages[i])
				default:
					p.reply(typ, 0)
				}
			}
			if p.state() != tc.want {
				t.Errorf("%s, want %s (%+v)", p.state(), tc.want, p)
			}
		})
	}
}
