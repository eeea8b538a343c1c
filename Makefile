# `make run` and `make test` are all a newcomer needs; both install what is missing and say so.
# `make help` lists the rest. `check` never writes to the tree, `fix` does.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# RocksDB is compiled once per machine, outside the clone; see storage/rocksdb/archive.sh.
# Every cargo call that compiles starts with this, so that all of them share one set of artifacts.
ENVIRONMENT := ROCKSDB_LIB_DIR="$$(storage/rocksdb/archive.sh)"; export ROCKSDB_LIB_DIR ROCKSDB_STATIC=1
TARGET_DIR = $$(cargo metadata --no-deps --format-version 1 --offline 2>/dev/null \
	| sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
# Clippy, tests and the client tests see the same features, or dependencies compile twice.
# All of them but api's and node's kafka-tls, which builds OpenSSL from source.
FEATURES := skua-model/testing,skua-storage/testing,skua-storage/mutants,skua-cluster/simulation,skua-cluster/mutants,skua-api/kafka,skua-node/kafka,skua-chaos-tests/mutants
WHOLE := --workspace --locked --features $(FEATURES)

# How many inputs each fuzz body of the tests tries under `make fuzz`.
SKUA_FUZZ_CASES ?= 1000000

##@ The two commands of the README

.PHONY: run
run: build ## build a release binary and start one node: data in ./skua-data, UI on 16686
	@exec "$(TARGET_DIR)/release/skua" serve $(ARGS)

.PHONY: cluster
cluster: build ## build a release binary and start three nodes on 127.0.0.1, .2 and .3; ^C stops them
	@deploy/local-cluster.sh "$(TARGET_DIR)/release/skua" $(ARGS)

.PHONY: test
test: ## everything: make check, the UI and it in a browser, then real clients against a real node
	@.ci/stages prepare=60 fmt=5 clippy=30 doc=15 unit=45 chaos-core=10 deny=10 ui=15 ui-core=10 clients=20 conformance=10 chaos-real=25

##@ Parts of them

.PHONY: check
check: ## format, lints, docs and all tests; never writes to the tree
	@.ci/stages prepare=60 fmt=5 clippy=30 doc=15 unit=45 deny=10

.PHONY: fix
fix: prepare ## format, and apply what clippy can repair
	@$(ENVIRONMENT); cargo clippy $(WHOLE) --all-targets --fix --allow-dirty --allow-staged
	@cargo fmt --all

.PHONY: prepare
prepare: ## install what the build needs and lacks; compile RocksDB once (15 minutes on 2 cores)
	@.ci/prepare build

.PHONY: build
build: prepare ## the release binary, with everything it can do
	@$(ENVIRONMENT); cargo build --release --package skua-node --locked --features kafka-tls

.PHONY: fmt
fmt: ## is everything formatted?
	@cargo fmt --all --check

.PHONY: clippy
clippy: ## lints, warnings are errors
	@$(ENVIRONMENT); cargo clippy $(WHOLE) --all-targets -- -D warnings

.PHONY: doc
doc: ## does the documentation build, every link resolved?
	@$(ENVIRONMENT); RUSTDOCFLAGS="-D warnings" cargo doc $(WHOLE) --no-deps --document-private-items

# Most tests wait for a disk or a clock, so more run side by side than there are processors.
.PHONY: unit
unit: ## every Rust test: unit, behaviour, tidy, short fuzz
	@$(ENVIRONMENT); \
	if cargo nextest --version >/dev/null 2>&1; then \
	  NEXTEST_TEST_THREADS="$${NEXTEST_TEST_THREADS:-$$((2 * $$(nproc)))}" \
	    cargo nextest run $(WHOLE) --config-file .ci/nextest.toml $(ARGS); \
	else \
	  cargo test $(WHOLE) --no-fail-fast $(ARGS); \
	fi

.PHONY: clients
clients: ## real clients of OpenTelemetry, Jaeger, Zipkin and Kafka send to a node and are read back
	@.ci/prepare clients
	@$(ENVIRONMENT); cargo build $(WHOLE) --bins --tests
	@SKUA_BIN="$${SKUA_BIN:-$(TARGET_DIR)/debug/skua}" node/tests/clients/run.sh

.PHONY: conformance
conformance: ## Jaeger's tests of a store, on a node and on three
	@$(ENVIRONMENT); cargo build $(WHOLE) --bins --tests
	@$(ENVIRONMENT); SKUA_BIN="$${SKUA_BIN:-$(TARGET_DIR)/debug/skua}" api/tests/jaeger/on_nodes.sh \
	  cargo test $(WHOLE) --test jaeger conformance:: -- --test-threads=1

.PHONY: ui
ui: ## the UI: types, lints, layers, unit tests, and whether ui/dist is what the sources make
	@.ci/prepare clients
	@if node -e 'const [a, b] = process.versions.node.split("."); process.exit(a * 100 + +b < 2019 ? 1 : 0)'; then \
	  cd ui && npm ci --no-audit --no-fund --silent && npm run --silent check && npm test --silent; \
	else \
	  echo "NOT RUN: the UI's tools need Node 20.19 or later, here is $$(node --version)"; \
	fi

# Newcomer, figures, cluster with dead nodes, legacy addresses: what no other test sees.
UI_CORE := node cluster partial states legacy columns
# The browser tests want a browser and a node; they are NOT RUN where there is no Chromium.
define browser-tests
	@.ci/prepare browser || echo "no browser was installed" >&2
	@if [ -x "$${CHROMIUM:-/usr/bin/chromium}" ]; then \
	  $(ENVIRONMENT); \
	  [ -n "$${SKUA_BIN:-}" ] || cargo build $(WHOLE) --bins --tests; \
	  export SKUA_BIN="$${SKUA_BIN:-$(TARGET_DIR)/debug/skua}"; \
	  cd ui && npm ci --no-audit --no-fund --silent && \
	  node --test --test-concurrency=1 --test-reporter=spec $(1); \
	else \
	  echo "NOT RUN: the browser tests need Chromium at /usr/bin/chromium or in CHROMIUM"; \
	fi
endef

.PHONY: ui-core
ui-core: ## a chosen part of the browser tests: real nodes, a cluster with dead nodes, old addresses
	$(call browser-tests,$(UI_CORE:%=tests/e2e/%.test.mjs))

.PHONY: deny
deny: ## licences, duplicates and sources of the dependencies, where cargo-deny is installed
	@if cargo deny --version >/dev/null 2>&1; then \
	  cargo deny --locked --offline check bans licenses sources; \
	else \
	  echo "NOT RUN: cargo-deny is not installed (cargo install --locked cargo-deny)"; \
	fi

##@ Longer

.PHONY: ui-e2e
ui-e2e: ## all browser tests, and whether a build of the UI makes exactly ui/dist
	@cd ui && npm ci --no-audit --no-fund --silent && npm run --silent build && git diff --exit-code --stat -- dist
	$(call browser-tests,tests/e2e/)

.PHONY: ui-bench
ui-bench: ## the UI's numbers in a real browser before a real node; ARGS as of ui/bench/numbers.mjs
	@.ci/prepare browser
	@$(ENVIRONMENT); cargo build --release --package skua-node --locked
	@cd ui && npm ci --no-audit --no-fund --silent && \
	  node bench/numbers.mjs --skua "$${SKUA_BIN:-$(TARGET_DIR)/release/skua}" $(ARGS)

.PHONY: fuzz
fuzz: prepare ## the fuzz bodies of the tests over SKUA_FUZZ_CASES inputs each
	@$(ENVIRONMENT); export SKUA_FUZZ_CASES=$(SKUA_FUZZ_CASES); \
	cargo test $(WHOLE) --no-fail-fast fuzz

# Seeds of simulated clusters, the first of them, and the real seconds after which no further one
# begins. SEED=n replays one and tells what happened in it; LOG=debug adds the product's own log.
SEEDS ?= 200
FIRST ?= 1
SIM_SECONDS ?= 300
LOG ?= warn

# A test beside the binary: dependencies then have what tests switch on, as they do in `make unit`,
# and are not compiled again.
CHAOS_SIM := $(WHOLE) --bin chaos-sim --test simulation

.PHONY: chaos-sim
chaos-sim: prepare ## SEEDS=200 simulated clusters from seed FIRST=1 on; SEED=n replays one
	@$(ENVIRONMENT); cargo build $(CHAOS_SIM)
	@if [ -n "$(SEED)" ]; then \
	  "$(TARGET_DIR)/debug/chaos-sim" --seed "$(SEED)" --log "$(LOG)" $(ARGS); \
	else \
	  mkdir -p "$(TARGET_DIR)/chaos" && \
	  "$(TARGET_DIR)/debug/chaos-sim" --seeds "$(SEEDS)" --first "$(FIRST)" --seconds "$(SIM_SECONDS)" \
	    --markdown "$(TARGET_DIR)/chaos/simulation.md" --json "$(TARGET_DIR)/chaos/simulation.json" $(ARGS); \
	fi

.PHONY: chaos-core
chaos-core: ## what `make test` takes of simulated clusters: 300, and all defects that they can find
	@$(MAKE) --no-print-directory chaos-sim SEEDS=300 SIM_SECONDS=180
	@"$(TARGET_DIR)/debug/chaos-sim" --mutant all

.PHONY: chaos-mutants
chaos-mutants: prepare ## deliberate defects: which are found, and by which seed or test
	@$(ENVIRONMENT); cargo build $(CHAOS_SIM)
	@$(ENVIRONMENT); cargo nextest run $(WHOLE) --config-file .ci/nextest.toml --no-run
	@mkdir -p "$(TARGET_DIR)/chaos"
	@$(ENVIRONMENT); "$(TARGET_DIR)/debug/chaos-sim" --mutant all \
	  --tests "cargo nextest run $(WHOLE) --config-file .ci/nextest.toml" \
	  --markdown "$(TARGET_DIR)/chaos/mutants.md" $(ARGS)

.PHONY: chaos
chaos: prepare ## real nodes under faults, judged by what clients were told; 10 minutes, as root
	@.ci/prepare chaos
	@# What is shipped: without what tests switch on in consensus.
	@$(ENVIRONMENT); cargo build --locked --package skua-node
	@$(ENVIRONMENT); cargo build --locked --package skua-chaos-tests --bin chaos-processes
	@"$(TARGET_DIR)/debug/chaos-processes" --binary "$${SKUA_BIN:-$(TARGET_DIR)/debug/skua}" \
	  --duration 490s --rate 5500 --spans-min 1000000 --report "$(TARGET_DIR)/chaos" $(ARGS)

# The last part of `make test`. Where everything before it was built from nothing there is no time
# left for it: the whole is to end within 75 minutes.
CHAOS_NOT_AFTER_SECONDS := 3300
.PHONY: chaos-real
chaos-real: ## `make chaos` with a fixed seed, unless the parts before it took long; with CI set no kind is skipped
	@if [ "$${STAGES_SPENT_SECONDS:-0}" -gt $(CHAOS_NOT_AFTER_SECONDS) ]; then \
	  echo "NOT RUN: the parts before it took $$STAGES_SPENT_SECONDS s; \`make chaos\` runs it alone"; \
	else \
	  $(MAKE) --no-print-directory chaos ARGS="--seed 1 --slack 2 $${CI:+--none-skipped} $(ARGS)"; \
	fi

.PHONY: chaos-soak
chaos-soak: prepare ## the same with a release build, for as long as DURATION=12h says
	@.ci/prepare chaos
	@$(ENVIRONMENT); cargo build --release --locked --package skua-node --package skua-chaos-tests
	@"$(TARGET_DIR)/release/chaos-processes" --binary "$${SKUA_BIN:-$(TARGET_DIR)/release/skua}" \
	  --duration "$${DURATION:-1h}" --rate 8000 --report "$(TARGET_DIR)/chaos" $(ARGS)

.PHONY: bench
bench: prepare ## the benchmarks, some minutes; ARGS=--record keeps the results in bench/results
	@$(ENVIRONMENT); cargo build --release --locked --package skua-node --package skua-bench
	@$(ENVIRONMENT); cargo bench --locked --package skua-api --bench walker
	@cd "$(TARGET_DIR)/release" && here="$$PWD" && cd "$(CURDIR)" && \
	"$$here/micro" $(ARGS) && \
	"$$here/start" --skua "$$here/skua" $(ARGS) && \
	"$$here/ingest" --skua "$$here/skua" --spans 1000000 $(ARGS) && \
	"$$here/ingest" --skua "$$here/skua" --small $(ARGS) && \
	"$$here/query" --skua "$$here/skua" $(ARGS) && \
	"$$here/cluster" --skua "$$here/skua" $(ARGS)

# One load, measured at 1, 3, 10, 30 and 100 million spans as far as LARGE_SPANS goes. The data and
# how far it came are kept below the target directory; removing that begins anew.
LARGE_SPANS ?= 100000000
LARGE_FREE_GIB := 20

.PHONY: bench-large
bench-large: prepare ## up to LARGE_SPANS=100000000 spans, 30 minutes or more; resumes; ARGS=--record
	@place="$(TARGET_DIR)/bench-large/$(LARGE_SPANS)"; mkdir -p "$$place"; \
	free=$$(df --output=avail --block-size=1G "$$place" | tail -1); \
	echo "$(LARGE_SPANS) spans in $$place: about $$(( $(LARGE_SPANS) / 4000000 + 5 )) minutes on two idle" \
	  "cores, and $$(( $(LARGE_SPANS) / 12000000 + 2 )) GB there"; \
	if [ "$$free" -lt $(LARGE_FREE_GIB) ]; then \
	  echo "only $$free GiB are free, $(LARGE_FREE_GIB) are needed"; exit 1; fi
	@$(ENVIRONMENT); cargo build --release --locked --package skua-node --package skua-bench
	@"$(TARGET_DIR)/release/large" --skua "$(TARGET_DIR)/release/skua" --spans "$(LARGE_SPANS)" \
	  --directory "$(TARGET_DIR)/bench-large/$(LARGE_SPANS)" $(ARGS)

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
