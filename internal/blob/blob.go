// Package blob stores objects by name: plan artifacts, Terraform states, later
// base backups and WAL. An object is written whole or not at all, and is never
// changed afterwards. The package knows nothing of what it stores.
package blob

import (
	"context"
	"errors"
)

var (
	// ErrNotFound says that there is no such object.
	ErrNotFound = errors.New("object not found")
	// ErrExists says that there is such an object already.
	ErrExists = errors.New("object exists already")
	// ErrName says that a name cannot be an object's.
	ErrName = errors.New("object name: want segments of letters, digits, '.', '_', '-' and ':' between slashes")
)

// Store is an object store.
type Store interface {
	// Put writes an object, replacing one of that name at once.
	Put(ctx context.Context, name string, data []byte) error
	// Create writes an object, or returns ErrExists when there is one of that name.
	Create(ctx context.Context, name string, data []byte) error
	// Get reads an object, or returns ErrNotFound.
	Get(ctx context.Context, name string) ([]byte, error)
	// List returns the names that begin with prefix, in order.
	List(ctx context.Context, prefix string) ([]string, error)
	// Delete removes an object. One that is not there is no error.
	Delete(ctx context.Context, name string) error
}
