# One door to every task, the same on a laptop and in CI. Needs make and Python 3.11 or newer, nothing else.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Tests start Python hundreds of times: what it compiled is kept, also on machines that are set up to throw it away.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
PY := $(VENV)/bin/python
# The first of these that runs and is new enough; set PYTHON to choose another. Looked up only to create $(VENV).
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
# A stamp is made once its lock is installed, and again only when the lock changes.
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
PIP_INSTALL := $(PY) -m pip install --disable-pip-version-check --quiet --require-hashes --requirement

CODE := $(wildcard ledger services tests tools benchmarks examples)
# Folders of tests that are not there are passed over, so that every target works in a partial checkout too.
# The longest files first, so that no process is left with one at the end.
FAST := $(wildcard tests/contract tests/unit tests/golden)
# Tests wait for servers and disks half of the time, those of faults most of it, so several processes share them, as
# tests/conftest.py says. With 0 or 1 everything runs in the one process that make starts, as a debugger needs it.
TEST_WORKERS ?= 2
FAULT_WORKERS ?= $(if $(filter 2,$(TEST_WORKERS)),3,$(TEST_WORKERS))
in_workers = $(if $(filter-out 0 1,$(1)),-n $(1) --dist loadfile --no-loadscope-reorder)
# What is no matter of disks is written to memory where there is enough of it: a sync of a disk takes longer than a test.
in_memory = $(shell test "$$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $$4}')" -gt 4000000 2>/dev/null && echo \
  'export TMPDIR="$$(mktemp -d /dev/shm/rapport-XXXXXX)"; trap "rm -rf $$TMPDIR" EXIT;' \
  'export PYTEST_ADDOPTS="$$PYTEST_ADDOPTS -o tmp_path_retention_policy=failed";')
run_tests = $(if $(1),$(3)$(PY) -m pytest $(call in_workers,$(or $(2),$(TEST_WORKERS))) $(1) $(ARGS),@echo 'no such tests in this checkout')

.PHONY: help install run up down proto proto-baseline verify format lint types layers buf test test-fast \
  test-integration test-fault test-e2e examples bench bench-check docs check locks clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(DEV) ## Create .venv with everything that developing and testing needs

run: $(RUNTIME) ## Serve everything in one process, on SQLite in ./data (RAPPORT_* settings apply)
	RAPPORT_DATA_DIR="$${RAPPORT_DATA_DIR:-data}" exec $(PY) -m services.standalone

up: $(DEV) ## Start every service as a process of its own, with PostgreSQL and NATS, on loopback
	$(PY) -m tools.local_cluster up

down: $(DEV) ## End what `make up` started
	$(PY) -m tools.local_cluster down

proto: $(DEV) ## Generate the code beside each .proto
	$(PY) -m tools.protos

proto-baseline: $(DEV) ## Add what is new in the protos to the baseline that compatibility is tested against
	$(PY) -m tools.proto_baseline

docs: $(DEV) ## Regenerate docs/reference from protos and settings
	$(if $(wildcard tools/reference.py),$(PY) -m tools.reference,@echo 'docs: no tools/reference.py in this checkout')

verify: proto docs ## Regenerate; fail if anything generated differs from what is committed
	@git status --porcelain protos docs/reference | (! grep .)

format: $(DEV) ## Rewrite the code in the house format, mend what ruff can mend
	$(PY) -m ruff check --fix $(CODE)
	$(PY) -m ruff format $(CODE)

lint: $(DEV) ## Check style and format with ruff
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)

types: $(DEV) ## Check types with mypy --strict
	$(PY) -m mypy $(CODE)

layers: $(DEV) ## Check who imports whom
	$(VENV)/bin/lint-imports --no-cache --no-logo

test: ## Run every test: fast ones first, then integration, fault, e2e
	@$(MAKE) --no-print-directory test-fast
	@$(MAKE) --no-print-directory test-integration
	@$(MAKE) --no-print-directory test-fault
	@$(MAKE) --no-print-directory test-e2e

test-fast: $(DEV) ## Unit, contract and golden tests; under a minute (ARGS='-k name' narrows any of these)
	$(call run_tests,$(FAST))

test-integration: $(DEV) ## Random tests of properties, and tests with real PostgreSQL and NATS
	$(call run_tests,$(wildcard tests/property tests/integration),,$(in_memory) )

test-fault: $(DEV) ## Crashes, lost replies, full disks
	$(call run_tests,$(wildcard tests/fault),$(FAULT_WORKERS))

test-e2e: $(DEV) ## Whole processes, signals, the command line, the purchase history
	$(call run_tests,$(wildcard tests/e2e))

examples: $(DEV) ## Run the examples; fail where the output differs from the committed .out
	$(PY) -m tools.examples

bench: $(DEV) ## Run the benchmarks; prints machine, versions, sample sizes (takes minutes)
	$(PY) -m benchmarks $(ARGS)

bench-check: $(DEV) ## Compare short runs of the benchmarks with the targets; says what falls short, decides nothing
	$(PY) -m benchmarks --check $(ARGS)

buf: $(DEV) ## Lint the protos with buf, and look for breaking changes since the last commit (needs npm)
	$(PY) -m tools.buf

check: ## What CI runs on every change
	@$(MAKE) --no-print-directory verify
	@$(MAKE) --no-print-directory -j2 lint types layers buf
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory examples

locks: $(DEV) ## Resolve requirements*.lock anew from pyproject.toml, within the versions already locked
	$(PY) -m tools.locks $(ARGS)

clean: ## Remove .venv and caches; ./data stays
	rm -rf $(VENV) build dist node_modules *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find ledger services tests tools protos benchmarks examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(PY):
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer was not found; set PYTHON to its path' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The order-only prerequisite: a newer interpreter file is no reason to install again.
$(RUNTIME): requirements.lock | $(PY)
	$(PIP_INSTALL) requirements.lock
	$(PY) -m tools.link
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	$(PIP_INSTALL) requirements-dev.lock
	@touch $@
