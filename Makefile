# Daybreak: 'make up' sets up and runs a database, 'make test' sets up and runs the tests.

SHELL := /bin/bash
# Where setup.sh puts what it builds.
export PATH := $(PATH):$(or $(DAYBREAK_TOOLS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/daybreak-tools)/bin
GO     = $(shell scripts/setup.sh go)
BIN    = bin/daybreak
NAME  ?= demo
N     ?= 100
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: up down build setup test test-clients faults scenarios lint vulncheck bench generate

## up: install what is missing, build, start the server, deploy paas/ as NAME (demo)
up: setup build
	@$(BIN) up paas --name $(NAME) --pgpass

## down: remove what up made: the deployment, and the server when nothing else runs on it
down: build
	@$(BIN) down $(NAME) --yes --if-exists
	@$(BIN) server uninstall --unless-used

## build: bin/daybreak alone
build:
	@mkdir -p bin
	@$(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o $(BIN) ./cmd/daybreak

## setup: PostgreSQL 15, Go and Terraform or OpenTofu, where they are missing
setup:
	@scripts/setup.sh git postgres terraform

## test: every test that needs only Debian packages and the Go module proxy
test: setup lint
	@scripts/setup.sh network
	$(GO) test -count=1 -timeout 20m ./...

## lint: gofmt, go.mod, go vet, staticcheck
lint:
	@files=$$($(dir $(GO))gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "not formatted (gofmt -w):"; echo "$$files"; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

## vulncheck: known holes in what is built in; needs a network for its database
vulncheck:
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...

## test-clients: real clients that must be pointed at; see scripts/test-clients.sh
test-clients: setup
	@scripts/test-clients.sh

## faults: N random faults on a loaded cluster; goes on where it stopped; see test/faults/README.md
faults: setup
	$(GO) test -count=1 -timeout 24h ./test/faults -v -run Random -faults $(N) $(if $(SEED),-seed $(SEED)) \
		-record $(CURDIR)/test/faults/campaigns.json -commit $(VERSION) | grep -v '{"'

## scenarios: every numbered fault of test/faults/README.md; those with disks of their own need root
scenarios: setup
	@scripts/setup.sh network
	$(GO) test -count=1 -timeout 3h ./test/faults -v -run 'Scenarios|StateStore|Zones|Sessions|Failover' -scenarios . -away 1m | grep -v '{"'

## bench: side by side with peers, ratios of medians; see bench/README.md
bench: setup build
	@bench/run.sh

## generate: generated code and references
generate:
	$(GO) generate ./...
