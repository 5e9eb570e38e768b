package main

import (
	"path/filepath"

	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/platform/account"
	"github.com/daybreakdb/daybreak/internal/platform/audit"
	"github.com/daybreakdb/daybreak/internal/platform/catalog"
	"github.com/daybreakdb/daybreak/internal/platform/fleet"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
)

// platform is what the platform's API serves.
type platform struct {
	engine   *workflow.Engine
	accounts *account.Accounts
	audit    *audit.Log
	upgrades *catalog.Upgrades
	fleet    *fleet.Server
}

func newPlatform(in installation, keys config.Credentials, engine *workflow.Engine) platform {
	p := platform{
		engine:   engine,
		accounts: account.New(account.Config{Store: in.store, Keyring: in.keyring, Credential: keys.PlatformToken}),
		audit:    audit.New(audit.Config{Store: in.store, Keyring: in.keyring, Path: filepath.Join(in.Root, "audit", "calls.jsonl"), Logger: in.logger}),
	}
	products := catalog.New(catalog.Config{
		Store: in.store, Keyring: in.keyring, Blobs: blob.Dir{Root: in.Blobs()}, Pin: engine.Pin, Deployments: engine.All,
	})
	p.upgrades = catalog.NewUpgrades(products, engine, in.logger)
	p.fleet = fleet.New(fleet.Config{
		Accounts: p.accounts, Catalog: products, Engine: engine, Upgrades: p.upgrades, Audit: p.audit, Logger: in.logger,
		AccountID: in.config.Account, Region: in.config.Region,
	})
	return p
}
