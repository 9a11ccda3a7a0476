# The entry to every development task. `make help` lists them.
# ARGS is passed on, e.g. `make test ARGS="-p stxworx-indexer fork"`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

CARGO ?= cargo
FOR ?=
ARGS ?=

.PHONY: help
help: ## List the tasks
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Check the tools and get PostgreSQL into .pg if there is none
	@scripts/setup

.PHONY: up
up: setup ## Run everything, on an embedded database and a devnet (FOR=60s ends by itself)
	$(CARGO) run --release --locked -- up $(if $(FOR),--for $(FOR)) $(ARGS)

.PHONY: test
test: setup ## Run all tests
	scripts/with-postgres bash -c 'url=$$DATABASE_URL; unset DATABASE_URL; \
		STXWORX_TEST_DATABASE_URL=$$url exec $(CARGO) test --workspace --locked $(ARGS)'

.PHONY: contracts-js
contracts-js: ## Test the contracts with clarinet-sdk and rendezvous (needs node 20 and npm)
	@scripts/contracts-js

.PHONY: alerts
alerts: ## Check the alert rules, run their tests, and check the tests by broken rules
	@scripts/alerts

.PHONY: drill
drill: setup ## Cause what each alert is for on a running daemon, and see it fire (needs python 3)
	@scripts/drill $(ARGS)

.PHONY: dashboards
dashboards: ## Write dashboards/*.json anew (ARGS=--check compares only)
	@scripts/dashboards $(ARGS)

.PHONY: dashboards-schema
dashboards-schema: ## Hold dashboards/*.json against Grafana's own schema (needs npm and a registry)
	@scripts/dashboards-schema

.PHONY: dashboards-preview
dashboards-preview: setup ## Run every query of the dashboards on a running devnet, and draw what comes back
	@scripts/dashboards-preview $(ARGS)

.PHONY: ledger-export
ledger-export: setup ## Hold the books against hledger and beancount, with balances from a devnet's node
	@scripts/ledger-export

.PHONY: schemathesis
schemathesis: setup ## Compare the running API with its description, on generated requests (needs python 3.10)
	@scripts/schemathesis

.PHONY: console
console: setup ## Walk the operators' console in a headless Chromium; pictures go to target/console (needs python 3.9)
	@scripts/console-test

.PHONY: deploy-drill
deploy-drill: setup ## Follow docs/deploy.md under a throw-away prefix, to a restored backup with equal digests
	$(CARGO) build --locked
	@scripts/deploy-drill

.PHONY: deploy-lint
deploy-lint: ## Lint Dockerfile, compose.yml, units, proxy and scripts, with tools of the registries
	@scripts/deploy-lint

.PHONY: reliability
reliability: setup ## Run what docs/reliability.md lists, and write it anew (ARGS=--check compares only)
	@scripts/reliability $(ARGS)

.PHONY: bench
bench: setup ## Run the benchmarks
	$(CARGO) bench --locked -p stxworx --no-default-features --bench mirror -- $(ARGS)
	$(CARGO) bench --locked -p stxworx --no-default-features --bench archive
	$(CARGO) bench --locked -p stxworx-clarity --bench codec
	$(CARGO) bench --locked -p stxworx --bench marketplace
	$(CARGO) bench --locked -p stxworx --bench reconcile --bench api --bench fanout

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: lint
lint: ## Check format, lints, and (if cargo-deny is installed) dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then \
		cargo-deny --offline check --hide-inclusion-graph bans licenses sources; \
	else \
		echo "lint: cargo-deny is not installed; dependencies were not checked"; \
	fi

.PHONY: prepare
prepare: setup ## Write .sqlx anew from the migrations (after a change of a query or a migration)
	scripts/prepare

.PHONY: prepare-check
prepare-check: prepare ## Fail if the committed .sqlx is not what the queries need
	@git diff --exit-code --stat -- .sqlx
	@test -z "$$(git status --porcelain -- .sqlx)" || { git status --short -- .sqlx; exit 1; }

.PHONY: openapi
openapi: ## Write docs/openapi.json from the code
	@mkdir -p target
	$(CARGO) run --quiet --locked -- openapi > target/openapi.json
	mv target/openapi.json docs/openapi.json

.PHONY: api-client
api-client: ## Make the API's TypeScript types and check a sample with them (needs node 20 and npm)
	@scripts/api-client

.PHONY: mint-parity
mint-parity: ## Compare the minter's transactions with those of @stacks/transactions (needs node 20 and npm)
	@scripts/mint-parity $(ARGS)

.PHONY: ci
ci: ## Run what CI runs
	bash .ci/run

.PHONY: clean-data
clean-data: ## Remove the embedded database (.data)
	@scripts/clean-data
