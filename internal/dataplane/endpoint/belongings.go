package endpoint

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unique"
)

// belongings are what a session needs to go on at another server: the proof that
// its client knows the password, the prepared statements it has made, what it was
// told of settings, and whether there is more that nobody could make again.
type belongings struct {
	startup startup
	scram   scramRecord
	// admitted says that the client has shown a token, and servers ask for nothing.
	admitted bool
	told     map[string]string // the settings in ParameterStatus
	plain    bool              // backslashes mean nothing in literals, as leavesNothing needs it

	// more says that the session has, or may have, what a new one would not have
	// and what is not below.
	more       bool
	clearing   bool                             // DISCARD or DEALLOCATE is on its way
	statements map[string]unique.Handle[string] // Parse messages, by the statement's name
	bytes      int                              // of statements
	unnamed    []byte                           // the Parse message of the unnamed statement, if there is one
	parses     []parse                          // those that are not answered, the oldest first
	units      int                              // requests for ReadyForQuery
}

func newBelongings(s startup) *belongings {
	return &belongings{startup: s, told: map[string]string{}}
}

// parse is a Parse message on its way.
type parse struct {
	name    string
	message string // of a named statement
	gone    bool   // it was closed again
	unit    int    // the number of such requests before it
}

// Beyond these a session has more than is kept for it.
const (
	maxStatements     = 256
	maxStatementBytes = 1 << 20
	maxParses         = 4096
)

// requestsKept are the requests whose bodies matter: Query, Parse, Close, and the
// answers to requests for authentication.
var requestsKept = typesOf("QPCp")

// request notes a request before progress does.
func (b *belongings) request(typ byte, w *walker, p *progress) {
	switch typ {
	case 'Q':
		b.units++
		b.query(w, p)
	case 'P':
		b.parse(w)
	case 'C':
		b.close(w)
	case 'S':
		if !p.copying {
			b.units++
		}
	case 'F': // FunctionCall
		b.units++
		b.giveUp()
	case 'p':
		if !p.ready && w.keeping {
			b.scram.client(w.kept)
		}
	}
}

// giveUp notes that there is more than can be followed.
func (b *belongings) giveUp() {
	*b = belongings{startup: b.startup, scram: b.scram, admitted: b.admitted, told: b.told, plain: b.plain, units: b.units, more: true}
}

func (b *belongings) query(w *walker, p *progress) {
	text, ok := bytes.CutSuffix(w.kept, []byte{0})
	if !ok || !w.keeping {
		b.giveUp()
		return
	}
	b.unnamed = b.unnamed[:0]
	if b.more {
		if len(text) < 64 && p.between() && isDiscardAll(text) {
			b.more, b.clearing = false, true
		}
		return
	}
	if leavesNothing(text) {
		return
	}
	name, all, ok := deallocated(text)
	switch {
	case p.between() && isDiscardAll(text), ok && all && p.idle():
		b.statements, b.bytes, b.clearing = nil, 0, true
	case ok && p.idle():
		b.forget(name)
		b.clearing = true
	default:
		b.giveUp()
	}
}

func (b *belongings) parse(w *walker) {
	if b.more {
		return
	}
	name, rest, ok := bytes.Cut(w.kept, []byte{0})
	text, _, ok2 := bytes.Cut(rest, []byte{0})
	if !w.keeping || !ok || !ok2 || len(b.parses) == maxParses {
		b.giveUp()
		return
	}
	this := parse{unit: b.units}
	switch {
	case len(name) > 0:
		this.name, this.message = string(name), string(w.kept)
	case bytes.Equal(b.unnamed, w.kept):
		b.parses = append(b.parses, this)
		return // looked at before
	default:
		b.unnamed = append(b.unnamed[:0], w.kept...)
	}
	if !leavesNothing(text) {
		b.giveUp()
		return
	}
	b.parses = append(b.parses, this)
}

func (b *belongings) close(w *walker) {
	if b.more {
		return
	}
	name, ok := bytes.CutSuffix(w.kept, []byte{0})
	if !ok || !w.keeping {
		b.giveUp()
		return
	}
	if name, ok := bytes.CutPrefix(name, []byte{'S'}); ok {
		b.forget(string(name))
	}
}

// forget notes that a prepared statement is removed.
func (b *belongings) forget(name string) {
	if name == "" {
		b.unnamed = b.unnamed[:0]
	}
	if known, ok := b.statements[name]; ok {
		b.bytes -= len(known.Value())
		delete(b.statements, name)
	}
	for i := range b.parses {
		if b.parses[i].name == name {
			b.parses[i].gone = true
		}
	}
}

// reply notes a reply after progress did.
func (b *belongings) reply(typ byte, w *walker, p *progress) {
	switch typ {
	case '1':
		b.parsed()
	case 'E':
		b.failed(p)
	case 'Z':
		b.clearing = false
		if len(b.parses) > 0 {
			b.drop(b.units - p.pending - 1)
		}
	case 'S':
		b.tell(w)
	case 'R':
		if w.keeping {
			b.scram.server(w.kept)
		}
	}
}

// parsed notes that the oldest Parse has succeeded.
func (b *belongings) parsed() {
	if len(b.parses) == 0 {
		return
	}
	this := b.parses[0]
	b.parses = append(b.parses[:0], b.parses[1:]...)
	if this.name == "" || this.gone {
		return
	}
	if b.statements == nil {
		b.statements = map[string]unique.Handle[string]{}
	}
	b.statements[this.name] = unique.Make(this.message) // sessions of a program have the same ones
	if b.bytes += len(this.message); b.bytes > maxStatementBytes || len(b.statements) > maxStatements {
		b.giveUp()
	}
}

// failed notes an error: nothing more happens until Sync.
func (b *belongings) failed(p *progress) {
	if b.clearing {
		b.giveUp()
	}
	b.drop(b.units - p.pending)
}

// drop removes the Parse messages up to a unit, which are not answered any more.
func (b *belongings) drop(unit int) {
	n, unnamed := 0, false
	for n < len(b.parses) && b.parses[n].unit <= unit {
		unnamed = unnamed || b.parses[n].name == ""
		n++
	}
	b.parses = append(b.parses[:0], b.parses[n:]...)
	if unnamed && !slices.ContainsFunc(b.parses, func(p parse) bool { return p.name == "" }) {
		b.unnamed = b.unnamed[:0]
	}
}

// tell notes what the client knows of a setting.
func (b *belongings) tell(w *walker) {
	if !w.keeping {
		return
	}
	if name, value, ok := parameterStatus(w.kept); ok {
		b.told[name] = value
		b.plain = b.told["standard_conforming_strings"] == "on"
	}
}

func parameterStatus(body []byte) (name, value string, ok bool) {
	n, rest, ok := bytes.Cut(body, []byte{0})
	v, _, ok2 := bytes.Cut(rest, []byte{0})
	return unique.Make(string(n)).Value(), unique.Make(string(v)).Value(), ok && ok2
}

// replay writes the Parse messages that make the prepared statements again.
func (b *belongings) replay() []byte {
	var out []byte
	add := func(body string) {
		out = append(out, 'P')
		out = binary.BigEndian.AppendUint32(out, uint32(4+len(body)))
		out = append(out, body...)
	}
	for _, statement := range b.statements {
		add(statement.Value())
	}
	if len(b.unnamed) > 0 {
		add(string(b.unnamed))
	}
	if out != nil {
		out = append(out, 'S', 0, 0, 0, 4)
	}
	return out
}

// portable says whether the session can go on elsewhere.
func (b *belongings) portable() bool {
	return !b.more && b.plain && (b.admitted || b.scram.complete())
}
