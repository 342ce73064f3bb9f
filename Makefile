# What people run; .ci/run runs the same. `make` alone says what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

# Tests drive this build of the program; exactness does not depend on it, speed does.
PROFILE ?= dev
BUILT = target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/framefleet
DEMO = target/demo

.PHONY: help setup demo build other-headers test test-fleet test-events test-exact test-corpus test-players lint fmt tidy bench bench-fleet

help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## install what is needed (Debian, Ubuntu); asks nothing
	@deploy/setup.sh tests

demo: ## make a 60 s sample, encode it in parallel segments to mp4 and mkv, say what was proven
	@deploy/setup.sh
	cargo build --release --locked -p framefleet
	@deploy/demo.sh target/release/framefleet $(DEMO)

build:
	@# with the features of the whole workspace, as tests have them: nothing is built twice
	cargo build --locked --profile $(PROFILE) --workspace --bin framefleet

test: setup build ## unit tests, contracts, tidiness, and about 40 cases of exactness
	FRAMEFLEET_BIN=$(CURDIR)/$(BUILT) cargo nextest run --locked --workspace

other-headers: setup
	@# for the rehearsal of an upgrade: a build whose H.264 cannot be joined with the other's
	cargo build --locked --profile $(PROFILE) --workspace --bin framefleet --features framefleet/other-headers
	cp -f $(BUILT) $(BUILT)-other-headers

test-fleet: other-headers build ## a fleet of real processes under faults, on servers of its own (root); FULL=1 for all of it
	FRAMEFLEET_BIN=$(CURDIR)/$(BUILT) cargo nextest run --locked --workspace --test processes \
	    --profile $(if $(FULL),fleet-at-length,fleet)

test-events: setup build ## from uploads to jobs, and the API: a bridge, a double of MNS, a fleet of real processes; FULL=1 for all of it
	FRAMEFLEET_BIN=$(CURDIR)/$(BUILT) cargo nextest run --locked --workspace --test triggers --test uploads --test events --test walkthrough --test api \
	    --profile $(if $(FULL),events-at-length,events)

test-exact: setup build ## every case of exactness; FULL=1 for the full product of all axes
	FRAMEFLEET_BIN=$(CURDIR)/$(BUILT) cargo nextest run --locked --profile exact --workspace --test exact --test reworked

test-corpus: setup build ## every file of a folder of real media; see tests/corpus/README.md
	@rm -rf target/corpus
	FRAMEFLEET_BIN=$(CURDIR)/$(BUILT) cargo nextest run --locked --profile corpus --workspace --test corpus; \
	    status=$$?; cargo build -q --locked --workspace --bin scoreboard && target/debug/scoreboard || status=1; exit $$status

test-players: build ## packages in hls.js and dash.js, in headless Chromium
	@deploy/setup.sh players
	FRAMEFLEET_BIN=$(CURDIR)/$(BUILT) cargo nextest run --locked --profile players --workspace --test players

lint: setup ## formatting, clippy, docs, licences, what is deployed with, tidiness
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
	@# deny reads the manifests of every platform's crates; without --offline it would ask for an index of its own
	cargo fetch --locked --quiet
	cargo deny --locked --offline check licenses bans sources
	deploy/check/check.sh
	$(MAKE) --no-print-directory tidy

tidy: setup ## who may depend on whom, file and function length, words
	cargo nextest run --locked --workspace --test tidy

fmt: ## format everything
	cargo fmt --all

bench: setup ## measure against ffmpeg (up to an hour) and write docs/BENCHMARKS.md
	cargo build --release --locked -p framefleet
	python3 tests/bench/bench.py --framefleet target/release/framefleet --write docs/BENCHMARKS.md

bench-fleet: setup ## measure the fleet on private servers (ten minutes) and write its section of docs/BENCHMARKS.md
	cargo build --release --locked -p framefleet -p framefleet-tests --bins
	FRAMEFLEET_BIN=$(CURDIR)/target/release/framefleet target/release/bench_fleet --write docs/BENCHMARKS.md
