package ec2

import (
	"strings"
	"testing"
)

func TestWildcardsMatchAsInEC2(t *testing.T) {
	for _, test := range []struct {
		pattern, value string
		want           bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"a*", "abc", true}, {"*c", "abc", true}, {"a?c", "abc", true},
		{"a?c", "ac", false}, {"*b*", "abc", true}, {"*x*", "abc", false}, {`a\*c`, "a*c", true}, {`a\*c`, "abc", false},
		{`\?`, "?", true}, {`\?`, "x", false}, {"a*b*c", "aXbXbXc", true},
	} {
		if got := wildcard(test.pattern, test.value); got != test.want {
			t.Errorf("wildcard(%q, %q) = %v", test.pattern, test.value, got)
		}
	}
}

func TestWildcardsTakeBoundedTime(t *testing.T) {
	if wildcard(strings.Repeat("*a", 200)+"b", strings.Repeat("a", 10000)) {
		t.Error("matched")
	}
}
