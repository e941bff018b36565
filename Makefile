# Two commands for a newcomer: `make demo`, `make test`. All of them use .venv, which they make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
PROVIDER ?= local
DOUBLES := $(patsubst tests/worlds/%/demo.py,%,$(wildcard tests/worlds/*/demo.py))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

.PHONY: demo run test evasion quality faults search soak check bench parity engines clean help
help:
	@echo "make demo    watch a pull request being scanned, answered and fixed (PROVIDER=$(subst $() $(),|,$(DOUBLES)): against a double of that host)"
	@echo "make test    set up and run the tests"
	@echo "make faults  the whole fault matrix, written to docs/reliability.md (ARGS='--row 13': one row; ARGS=--quick: some)"
	@echo "make run     serve"
	@echo "make check   types, style, import contracts"
	@echo "make bench   benchmarks (QUICK=1: small)"
	@echo "make quality what the rules find, miss and say for nothing, written to docs/quality.md (FIXWRIGHT_BENCH_REPOS=FOLDER: clones)"
	@echo "make evasion known findings written otherwise: what no rule sees any more (SEED=N; CASES=FOLDER keeps it)"
	@echo "make parity  what is held on which code host, written to docs/reference/hosts.md"
	@echo "make search  the property tests on examples that nobody has seen yet (SEED=N: those of a seed)"
	@echo "make soak    thousands of events and random faults (ARGS=--events 200: a short one), after make search"

$(VENV)/bin/python:
	@echo "-- making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(STAMP): requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "-- installing Fixwright's packages (hashes are checked)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.txt $(STAMP)
	@echo "-- installing what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

engines: $(STAMP)
	@$(BIN)/fixwright engines install >/dev/null

ifeq ($(PROVIDER),local)
demo: $(STAMP) engines
	@$(BIN)/fixwright demo
else
# The doubles of hosts live with the tests and need what they need.
demo: $(if $(wildcard tests/worlds/$(PROVIDER)/demo.py),$(DEV) engines)
	@test -e tests/worlds/$(PROVIDER)/demo.py || { echo "there is no double of $(PROVIDER): one of local $(DOUBLES)" >&2; exit 2; }
	@$(BIN)/python -m tests.worlds.$(PROVIDER).demo
endif

run: $(STAMP) engines
	@$(BIN)/fixwright up

# The tests start hundreds of processes: those share what Python has compiled, whatever the environment says. Tests wait more than they
# compute, so there are more workers than processors; and a worker that has nothing left takes over what waits for another.
# They make and remove some hundred thousand small files: where memory has 6 GB to spare, there.
test: export PYTHONDONTWRITEBYTECODE =
test: TESTS_IN = $(shell df --output=fstype,avail /dev/shm 2>/dev/null | awk '$$1 == "tmpfs" && $$2 > 6000000 {print "/dev/shm"}' | grep . || echo "$${TMPDIR:-/tmp}")
test: $(DEV) engines
	@tests/prepare.sh
	@folder=$$(mktemp -d "$(TESTS_IN)/fixwright-XXXXXX"); trap 'rm -rf "$$folder"' EXIT; chmod 755 "$$folder"; \
	TMPDIR="$$folder" $(BIN)/python -m pytest -n 5 --dist worksteal $(ARGS)

check: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(DEV) engines
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

# Known findings written otherwise: what no rule sees any more. SEED=n repeats one; CASES=folder keeps what slipped.
evasion: $(DEV) engines
	@$(if $(SEED),FIXWRIGHT_SEED=$(SEED)) $(if $(CASES),FIXWRIGHT_EVASION=$(CASES)) $(BIN)/python -m benchmarks evasion

# FIXWRIGHT_BENCH_REPOS names a folder of clones, FIXWRIGHT_PEERS one of other engines' programs; what is missing is a row that says so.
quality: $(DEV) engines
	@$(BIN)/python -m benchmarks.quality --write

parity: $(DEV)
	@$(BIN)/python -m tests.contract.parity

faults: $(DEV) engines
	@tests/prepare.sh
	@$(BIN)/python -m tests.faults --write $(ARGS)

# Hypothesis marks its tests itself. Elsewhere they have the same examples each time (tests/conftest.py).
search: SEED ?= $(shell $(PYTHON) -c 'import secrets; print(secrets.randbelow(2**32))')
search: $(DEV) engines
	@seed=$(SEED); echo "seed $$seed; the same again: make search SEED=$$seed"; \
	$(BIN)/python -m pytest -n 4 --dist worksteal -m hypothesis --hypothesis-profile=search --hypothesis-seed=$$seed

soak: $(DEV) engines search
	@tests/prepare.sh
	@$(BIN)/python -m tests.faults.soak $(ARGS)

clean:
	rm -rf build $(VENV)
