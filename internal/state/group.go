package state

import (
	"slices"
	"strings"
)

// Group finds the items of a mirror by something in their values, without looking
// at all of them.
type Group[T any] struct {
	mirror *Mirror[T]
	of     func(*T) string
	keys   map[string]map[string]bool // what they are found by → keys; under the mirror's lock
}

// GroupBy has a mirror keep its items by what of says of them, which must depend on
// the value alone.
func (m *Mirror[T]) GroupBy(of func(*T) string) *Group[T] {
	g := &Group[T]{mirror: m, of: of}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.groups = append(m.groups, g)
	g.rebuild()
	return g
}

// In returns the items that of says this of, in the order of keys: read only.
func (g *Group[T]) In(name string) []Item[T] {
	g.mirror.mu.RLock()
	defer g.mirror.mu.RUnlock()
	found := make([]Item[T], 0, len(g.keys[name]))
	for key := range g.keys[name] {
		found = append(found, g.mirror.items[key])
	}
	slices.SortFunc(found, func(a, b Item[T]) int { return strings.Compare(a.Key, b.Key) })
	return found
}

// rebuild reads all items. The caller holds the mirror's lock, as of the others.
func (g *Group[T]) rebuild() {
	g.keys = make(map[string]map[string]bool, len(g.mirror.items))
	for _, item := range g.mirror.items {
		g.add(item)
	}
}

func (g *Group[T]) add(item Item[T]) {
	name := g.of(&item.Value)
	if g.keys[name] == nil {
		g.keys[name] = map[string]bool{}
	}
	g.keys[name][item.Key] = true
}

func (g *Group[T]) remove(item Item[T]) {
	name := g.of(&item.Value)
	delete(g.keys[name], item.Key)
	if len(g.keys[name]) == 0 {
		delete(g.keys, name)
	}
}
