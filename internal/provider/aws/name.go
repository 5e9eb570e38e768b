package aws

import (
	"fmt"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// generated is the end of a generated name: the time and a counter.
var generated = regexp.MustCompile(`[0-9]{18}[0-9a-f]{8}$`)

// names makes names that are unique in a run, and between runs by the clock.
type names struct{ counter atomic.Uint32 }

// choose returns the configured name, or one that starts with the configured or the default prefix.
func (n *names) choose(o plugin.Object, name, prefix, fallback string) string {
	if o.Has(name) {
		return o.String(name)
	}
	if o.Has(prefix) {
		fallback = o.String(prefix)
	}
	now := time.Now().UTC()
	return fmt.Sprintf("%s%s%04d%08x", fallback, now.Format("20060102150405"), now.Nanosecond()/100_000, n.counter.Add(1))
}

// prefixOf is the prefix that a generated name was made from, empty for a name that was chosen.
func prefixOf(name string) string {
	at := generated.FindStringIndex(name)
	if at == nil {
		return ""
	}
	return name[:at[0]]
}
