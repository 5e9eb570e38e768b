package awswire

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	maxParameters = 20000
	maxDepth      = 24
)

// node is a parameter, or several under a common prefix: A.B.1=x is three nodes
// under the root.
type node struct {
	value    string
	given    bool // there is a parameter of just this name
	children map[string]*node
}

// parseForm reads the parameters of the query string and of the body.
func parseForm(r *http.Request, body []byte) (*node, error) {
	root := &node{}
	count := 0
	for _, text := range []string{r.URL.RawQuery, string(body)} {
		for text != "" {
			var pair string
			pair, text, _ = strings.Cut(text, "&")
			if pair == "" {
				continue
			}
			if count++; count > maxParameters {
				return nil, malformed("The request has more than %d parameters.", maxParameters)
			}
			if err := root.add(pair); err != nil {
				return nil, err
			}
		}
	}
	return root, nil
}

func (n *node) add(pair string) error {
	rawKey, rawValue, _ := strings.Cut(pair, "=")
	key, err := url.QueryUnescape(rawKey)
	if err != nil {
		return malformed("The name of a parameter is not properly percent-encoded.")
	}
	value, err := url.QueryUnescape(rawValue)
	if err != nil {
		return malformed("The value of the parameter %s is not properly percent-encoded.", key)
	}
	parts := strings.Split(key, ".")
	if len(parts) > maxDepth {
		return malformed("The parameter %.80s is nested too deeply.", key)
	}
	for _, part := range parts {
		if n.children == nil {
			n.children = map[string]*node{}
		}
		child := n.children[part]
		if child == nil {
			child = &node{}
			n.children[part] = child
		}
		n = child
	}
	if n.given {
		return malformed("The parameter %s is given more than once.", key)
	}
	n.value, n.given = value, true
	return nil
}

// child returns the node of a name, or nil.
func (n *node) child(name string) *node { return n.children[name] }

// withoutEnvelope leaves out what is not the operation's: its name and version, and
// the signature of a presigned request.
func (n *node) withoutEnvelope() {
	for name := range n.children {
		if name == "Action" || name == "Version" || strings.HasPrefix(name, "X-Amz-") {
			delete(n.children, name)
		}
	}
}

// scalar is the value of a plain parameter, empty if it is not there.
func (n *node) scalar(name string) string {
	if c := n.children[name]; c != nil {
		return c.value
	}
	return ""
}

// indexed is an element of a list or map with its position.
type indexed struct {
	index int
	node  *node
}

// elements returns the children with numeric names; false if a name is no number.
func (n *node) elements() ([]indexed, bool) {
	list := make([]indexed, 0, len(n.children))
	for name, child := range n.children {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || name[0] == '+' || name[0] == '-' {
			return nil, false
		}
		list = append(list, indexed{i, child})
	}
	return list, true
}

func malformed(format string, args ...any) *Error {
	return BadRequestf("MalformedQueryString", format, args...)
}
