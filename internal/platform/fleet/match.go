package fleet

import (
	"net/http"
	"net/url"
	"strings"
)

// node is a place in the tree of paths. A segment that is written out comes before
// one that stands for any; http.ServeMux refuses paths of these clients where
// neither is more special than the other.
type node struct {
	literal map[string]*node
	any     *node
	routes  map[string]route // by method
}

// add puts a route into the tree.
func (n *node) add(r route) {
	for segment := range strings.SplitSeq(strings.Trim(r.Path, "/"), "/") {
		if strings.HasPrefix(segment, "{") {
			if n.any == nil {
				n.any = &node{}
			}
			n = n.any
			continue
		}
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		if n.literal[segment] == nil {
			n.literal[segment] = &node{}
		}
		n = n.literal[segment]
	}
	if n.routes == nil {
		n.routes = map[string]route{}
	}
	n.routes[r.Method] = r
}

func (n *node) find(method string, segments []string) (route, bool) {
	if len(segments) == 0 {
		r, ok := n.routes[method]
		return r, ok
	}
	if next := n.literal[segments[0]]; next != nil {
		if r, ok := next.find(method, segments[1:]); ok {
			return r, true
		}
	}
	if n.any == nil || segments[0] == "" {
		return route{}, false
	}
	return n.any.find(method, segments[1:])
}

// match finds the request's route and gives the request the values of its path. A
// slash at the end makes no difference.
func (n *node) match(req *http.Request) (route, bool) {
	path, ok := strings.CutPrefix(req.URL.EscapedPath(), Prefix+"/")
	if !ok {
		return route{}, false
	}
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for i, segment := range segments {
		value, err := url.PathUnescape(segment)
		if err != nil {
			return route{}, false
		}
		segments[i] = value
	}
	r, ok := n.find(req.Method, segments)
	if !ok {
		return r, false
	}
	for i, segment := range strings.Split(strings.Trim(r.Path, "/"), "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			req.SetPathValue(strings.TrimSuffix(name, "}"), segments[i])
		}
	}
	return r, true
}
