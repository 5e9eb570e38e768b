package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/layout"
)

func newSettings(t *testing.T, change func(*config.Config)) layout.Layout {
	t.Helper()
	l, err := layout.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := config.New(l)
	change(&c)
	if err := c.Save(l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestZonesAreChosenAtTheFirstStartOnly(t *testing.T) {
	fresh, err := layout.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, changed, err := (&serverSettings{zones: []string{"b"}, linkAddr: "10.0.0.1:8430"}).apply(fresh)
	if err != nil || !changed || !slices.Equal(c.Zones, []string{"b"}) || c.LinkAddr != "10.0.0.1:8430" {
		t.Errorf("first start: %+v, %v, %v", c, changed, err)
	}
	l := newSettings(t, func(*config.Config) {})
	if _, changed, err := (&serverSettings{zones: []string{"a", "b", "c"}}).apply(l); err != nil || changed {
		t.Errorf("the zones that it has: changed %v, %v", changed, err)
	}
	if _, _, err := (&serverSettings{zones: []string{"b"}}).apply(l); err == nil || !strings.Contains(err.Error(), "a,b,c") {
		t.Errorf("other zones: %v", err)
	}
	if c, changed, err := (&serverSettings{linkAddr: "10.0.0.1:8430"}).apply(l); err != nil || !changed || !c.Linked() {
		t.Errorf("a link address later: %+v, %v, %v", c, changed, err)
	}
}

func TestHostThatJoinedUsesTheAddressesOfTheAPIsAndListensAtNone(t *testing.T) {
	t.Setenv("DAYBREAK_REGION_ADDR", "127.0.0.1:1")
	l := newSettings(t, func(c *config.Config) { c.FirstHost, c.RegionAddr = "10.0.0.1:8430", "127.0.0.1:4566" })
	c, changed, err := (&serverSettings{}).apply(l)
	if err != nil || changed || c.RegionAddr != "127.0.0.1:4566" {
		t.Errorf("the environment is for hosts that have the APIs: %+v, %v, %v", c, changed, err)
	}
	if err := apisReachable(c); err == nil || !strings.Contains(err.Error(), "10.0.0.1:8430") {
		t.Errorf("APIs on another host's loopback: %v", err)
	}
	c, _, err = (&serverSettings{regionAddr: "10.0.0.1:4566", platformAddr: "10.0.0.1:8420"}).apply(l)
	if err != nil || apisReachable(c) != nil {
		t.Errorf("APIs that others reach: %v, %v", err, apisReachable(c))
	}
	if _, _, err := (&serverSettings{region: "eu-central-1"}).apply(l); err == nil {
		t.Error("a host that joined has a region of its own")
	}
}

func TestSecretIsReadFromStandardInputWhereThatIsAsked(t *testing.T) {
	for value, want := range map[string]string{"-": "secret", "given": "given"} {
		if got, err := secretArgument(value, strings.NewReader("secret\nmore\n")); err != nil || got != want {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
	if _, err := secretArgument("-", failingReader{}); err == nil {
		t.Error("an error of standard input is no error")
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("broken") }
