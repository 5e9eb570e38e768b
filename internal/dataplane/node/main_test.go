package node_test

import (
	"context"
	"log"
	"os"
	"testing"

	"github.com/daybreakdb/daybreak/internal/dataplane/node"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Set for a process that is a node and not a test.
const (
	nodeRoot   = "NODE_TEST_ROOT"
	nodeSocket = "NODE_TEST_ETCD_SOCKET"
)

func TestMain(m *testing.M) {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	if root := os.Getenv(nodeRoot); root != "" {
		log.Fatal(beNode(root, os.Getenv(nodeSocket)))
	}
	os.Exit(m.Run())
}

func beNode(root, socket string) error {
	l, err := layout.New(root)
	if err != nil {
		return err
	}
	keys, err := keyring.Open(l.Keys())
	if err != nil {
		return err
	}
	store, err := state.Open(socket)
	if err != nil {
		return err
	}
	return node.Run(context.Background(), node.Config{Store: store, Layout: l, Keyring: keys, MemoryBytes: testMemory})
}
