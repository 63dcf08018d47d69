# The things one does here. Each sets up what it needs, or says in one line what a person must install.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: help demo test crash lint bench model setup

help:
	@echo "make demo    build, then start on the embedded defaults with a bundled sample"
	@echo "make test    every test; servers are started by the tests that need them"
	@echo "make crash   kill -9 at fifty random moments under load (KILLS=n for another number), as a table; where Fluvio and Postgres"
	@echo "             are there, a worker frozen for 30 s, and thirty kills of SPU, SC and workers (CLUSTER_KILLS=n)"
	@echo "make lint    formatting, clippy, and which crate may know which"
	@echo "make bench   benchmarks in release mode, as tables; N=100000 for a shorter run of the flow than 1,000,000 messages"
	@echo "make model   train the weights of signal-score anew (MORE=folder of further labelled data)"

setup:
	@./deploy/setup.sh

demo: setup
	$(CARGO) build --locked -p telesift
	@model=$$(./deploy/model.sh); \
	if [ -n "$$model" ]; then export TELESIFT__EMBED__KIND=local TELESIFT__EMBED__MODEL="$$model"; fi; \
	exec $${CARGO_TARGET_DIR:-target}/debug/telesift demo $(DEMO_ARGS)

# The UDFs of Arroyo are a workspace of their own, with a target directory of their own beside this one's.
UDFS := cd pipelines/arroyo/udfs && CARGO_TARGET_DIR=$${CARGO_TARGET_DIR:-$(CURDIR)/target}/udfs $(CARGO)

test: setup
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --locked --workspace --all-features --no-fail-fast
else
	$(CARGO) test --locked --workspace --all-features --no-fail-fast
endif
	$(UDFS) test --locked --lib --examples --tests

crash: setup
	TELESIFT_TEST_KILLS=$(or $(KILLS),50) TELESIFT_TEST_FROZEN_MS=30000 \
		$(CARGO) test --locked -p telesift --all-features --test it -- --nocapture kill_9 frozen_worker
	TELESIFT_TEST_KILLS=$(or $(CLUSTER_KILLS),30) \
		$(CARGO) test --locked -p telesift --all-features --test it -- --nocapture kills_of_every_part

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	$(UDFS) clippy --locked --all-targets -- -D warnings
	@./tests/directions.sh

bench: setup
	TELESIFT_BENCH_N=$(N) $(CARGO) bench --locked -p telesift-text -p telesift-models -p telesift-engine -p telesift-log-embedded -p telesift-store-lance -p telesift-api -p telesift

model:
	$(CARGO) run --locked --release -p telesift-learn --bin train-model -- $(if $(MORE),--more $(MORE))
