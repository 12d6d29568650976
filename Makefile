# Meterline. Each target does the set-up that it needs: on a fresh Debian 12 or 13, `make demo` or `make test` is enough.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PY := $(CURDIR)/.venv/bin/python
# `make test ARGS="tests/unit -k rating"`, `make up ARGS="--host 192.0.2.1"`
ARGS ?=
LEDGER_ARGS ?=
# Test files that run at the same time, each worker with servers of its own: `make test WORKERS=0` is one after the other.
WORKERS ?= 4
unexport PYTHONPATH PYTHONHOME

.PHONY: help bootstrap container demo test faults model attacks lint up down lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

bootstrap: ## install Debian's packages and the pinned Python ones, where they are missing
	@scripts/bootstrap.sh

demo: bootstrap ## real calls on a private MariaDB and Kamailio, to watch; ends by itself
	@$(PY) -m demo $(ARGS)

# In a folder that `make down` looks into, unless PYTEST_ADDOPTS or ARGS name another. pytest empties it when it starts, so
# what a killed run left there is ended first, while the files that name it are there. Workers of a run that is interrupted
# get a few seconds, too few to stop their servers: those are ended last.
test: export PYTEST_ADDOPTS := --basetemp=run/test $(PYTEST_ADDOPTS)
test: bootstrap ## all tests, on the real parts
	@mkdir -p run
	@down="$(PY) -m stack down --folder run/test"; $$down; trap : INT TERM; status=0; \
	$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS) || status=$$?; \
	$$down; exit $$status

# What bandit looks at: all but tests, which do on purpose what it warns of. It also complains of each string in a line
# with a `nosec` that it would not have found anything in.
BANDIT := -m bandit --quiet --configfile pyproject.toml --recursive bench billing cli db demo docker docs kemi monitor scripts stack

faults: bootstrap ## 200 faults over 20,000 calls, a quarter of an hour; ARGS="--seed 7" replays (docs/reliability.md)
	@$(PY) -m tests.faults $(ARGS)
	@$(PY) -m tests.faults.ledger $(LEDGER_ARGS)

attacks: bootstrap ## 100,000 seeded mutations of SIP messages; one part again: ARGS="--seed 7 --first 1200 --count 100"
	@$(PY) -m tests.security.mutations $(ARGS)

model: bootstrap ## two thousand histories in which anything dies anywhere; one again: ARGS="--seed 123"
	@$(PY) -m tests.model $(ARGS)

lint: bootstrap ## ruff, mypy, what may import what, bandit, and secrets that must not be here
	@status=0; \
	for check in "ruff check ." mypy; do $(PY) -m $$check || status=1; done; \
	$(PY) $(BANDIT) 2> >(grep -v "nosec encountered" >&2) || status=1; \
	$(PY) scripts/check_architecture.py || status=1; \
	$(PY) scripts/check_secrets.py || status=1; \
	exit $$status

up: bootstrap ## run the stack in this terminal until Ctrl-C or `make down`
	@$(PY) -m stack up $(ARGS)

down: ## stop what `make up` runs, and whatever a killed run left behind
	@if [[ -x $(PY) ]]; then $(PY) -m stack down; fi

# Its file is no test_*.py, so that `make test` passes it by: it needs an engine, root, and some minutes.
container: bootstrap ## build the containers and try them: calls, kills, restarts (DEBIAN=trixie: on Debian 13)
	@mkdir -p run
	@DEBIAN=$(or $(DEBIAN),bookworm) $(PY) -m pytest --timeout=1500 -p no:cacheprovider tests/container/check_container.py $(ARGS)

lock: ## pin the newest versions of requirements*.in, with hashes
	@scripts/lock.sh

clean: down ## remove the environment, the private servers' data and all caches
	@rm -rf .venv run .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
