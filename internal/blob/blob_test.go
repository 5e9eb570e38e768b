package blob_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/daybreakdb/daybreak/internal/blob"
)

// stores are every implementation; each keeps the whole contract.
var stores = map[string]func(t *testing.T) blob.Store{
	"directory": func(t *testing.T) blob.Store { return blob.Dir{Root: t.TempDir()} },
}

func TestStoreKeepsItsContract(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			ctx, s := t.Context(), open(t)
			if _, err := s.Get(ctx, "a/b"); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("get of nothing: %v", err)
			}
			for _, object := range []string{"a/b", "a/c", "d"} {
				if err := s.Put(ctx, object, []byte(object)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Put(ctx, "a/b", []byte("again")); err != nil {
				t.Fatal(err)
			}
			if data, err := s.Get(ctx, "a/b"); err != nil || string(data) != "again" {
				t.Errorf("a/b is %q, %v", data, err)
			}
			if err := s.Create(ctx, "a/b", []byte("other")); !errors.Is(err, blob.ErrExists) {
				t.Errorf("create of what exists: %v", err)
			}
			if data, err := s.Get(ctx, "a/b"); err != nil || string(data) != "again" {
				t.Errorf("after a refused create a/b is %q, %v", data, err)
			}
			if err := s.Create(ctx, "e/f/g", []byte("new")); err != nil {
				t.Error(err)
			}
			for prefix, want := range map[string][]string{
				"": {"a/b", "a/c", "d", "e/f/g"}, "e/f/g": {"e/f/g"}, "e/": {"e/f/g"}, "e": {"e/f/g"}, "nothing/here": nil, "../": nil,
			} {
				if names, err := s.List(ctx, prefix); err != nil || !slices.Equal(names, want) {
					t.Errorf("list of %q: %v, %v", prefix, names, err)
				}
			}
			if names, err := s.List(ctx, "a/"); err != nil || !slices.Equal(names, []string{"a/b", "a/c"}) {
				t.Errorf("list of a/: %v, %v", names, err)
			}
			for range 2 {
				if err := s.Delete(ctx, "a/b"); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
			for _, bad := range []string{"", "/a", "a/", "../a", "a/../../b", ".hidden", "a//b", "a b"} {
				if err := s.Put(ctx, bad, nil); !errors.Is(err, blob.ErrName) {
					t.Errorf("put of %q: %v, want ErrName", bad, err)
				}
			}
		})
	}
}
