# Semblance: one command each. `make` alone lists them.
# Every target makes .venv and installs what it needs when that is missing or older than pyproject.toml.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo serve worker test test-all dependencies miniatures lint screenshots format install clean

# Where a package index with other builds of torch is wanted, e.g. TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# A folder of advisories in the format of OSV, against which `make dependencies` checks the versions.
ADVISORIES ?=
# 1: the demo stays up after its report, with a study to vote in. 0: it ends.
SERVE ?= 1
# How many models the demo compares: 2, 3 or 5.
MODELS ?= 2
SHOTS ?= var/screenshots
HOST ?= 127.0.0.1
PORT ?= 8000
# The first Python of 3.11 or newer that answers.
PYTHON ?= $(shell for candidate in python3.11 python3.12 python3.13 python3; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$candidate && break; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
MANAGE := $(BIN)/python manage.py
BASE := .venv/installed-base
GENERATION := .venv/installed-generation
DEV := .venv/installed-dev
# Each file in one process, in the order of tests/conftest.py and not by their numbers of tests.
BY_FILE := --numprocesses auto --dist loadfile --no-loadscope-reorder
TORCH := $(shell sed -n 's/^ *"\(torch==[0-9.]*\)".*/\1/p' pyproject.toml)
# Settings as a machine on the internet has them, so that `check --deploy` sees what it would see there.
PRODUCTION := env -u DEBUG SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') HTTPS=1 ALLOWED_HOSTS=semblance.example \
	DATABASE_URL=postgresql://semblance@database/semblance CELERY_BROKER_URL=redis://broker/0

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(GENERATION)  ## the whole path with tiny models and simulated votes; SERVE=0 ends after the report, MODELS=3 or 5 ranks more models
	@$(MANAGE) demo --port $(PORT) --models $(MODELS) $(if $(filter 0,$(SERVE)),--no-serve,--serve)

serve: $(BASE)  ## the web server at HOST:PORT (127.0.0.1:8000), with the database brought up to date
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) collectstatic --no-input --verbosity 0
	@echo "Serving http://$(HOST):$(PORT)/ (Ctrl-C ends it)"
	@exec $(BIN)/gunicorn --config python:config.gunicorn --bind $(HOST):$(PORT) config.wsgi

worker: $(GENERATION)  ## the worker: generation and scoring beside the half-minute tick
	@exec $(MANAGE) worker

test: $(DEV)  ## everything that CI runs
	@.ci/system-packages
	@$(MAKE) --no-print-directory lint
	@echo "== migrations are complete"; $(MANAGE) makemigrations --check --dry-run
	@echo "== production settings"; $(PRODUCTION) $(MANAGE) check --deploy --fail-level WARNING
	@echo "== compose file"; $(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@echo "== tests on SQLite"; $(BIN)/pytest $(BY_FILE) --ignore tests/journeys -m "not slow and not gpu"
	@echo "== journeys in a browser"; $(BIN)/pytest --numprocesses auto --dist worksteal -m "not slow and not gpu" tests/journeys
	@echo "== tests on PostgreSQL and Redis"; \
	$(BIN)/python -m tests.services $(BIN)/pytest $(BY_FILE) \
		-m "(services or both_databases) and not slow and not gpu" \
		tests/services $$(grep -rlE 'mark\.(services|both_databases)' --include='test_*.py' tests)

test-all: test  ## the same and the slow suites; those for an accelerator where there is one
	@echo "== dependencies"; $(MAKE) --no-print-directory dependencies
	@echo "== slow tests"; $(BIN)/python -m tests.services $(BIN)/pytest -m "slow or gpu"

dependencies: $(DEV)  ## licences and versions of what is installed, and an SBOM in var/sbom.json; ADVISORIES=folder of osv.dev: known faults too
	@$(BIN)/python -m tests.dependencies $(if $(ADVISORIES),--advisories $(ADVISORIES))

miniatures: $(GENERATION)  ## train the very small models of the demo and the tests again, from nothing or where it stopped
	@$(BIN)/python -m miniatures

lint: $(DEV)  ## ruff, mypy (strict) and the import rules between the rooms
	@echo "== ruff"; $(BIN)/ruff check .; $(BIN)/ruff format --check .
	@echo "== import rules"; $(BIN)/lint-imports
	@echo "== mypy"; $(BIN)/mypy .

screenshots: $(DEV)  ## a picture of every page in SHOTS (var/screenshots), light and dark, 1440 and 390 px wide
	@$(BIN)/python -m tests.journeys.screenshots $(SHOTS)

format: $(DEV)  ## put the code into shape
	@$(BIN)/ruff check --fix .; $(BIN)/ruff format .

install: $(DEV)  ## .venv with everything: the web, generation, and the tests' tools

clean:  ## remove .venv, var and every cache
	@echo "Removing .venv, var (database, images, reports) and the caches."
	@rm -rf .venv var *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache test-results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Semblance needs Python 3.11 or newer, and none was found. If it has another name: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Semblance needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module. On Debian: apt-get install -y python3-venv" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv

$(BASE): pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing what the web server needs (a minute or two the first time)"
	@$(PIP) --editable .
	@touch $@

# torch first and alone: resolved together with the rest, pip was seen to fetch a build with CUDA of 500 MB although
# one without was on offer. Its own dependencies come with the rest, from the usual index.
$(GENERATION): $(BASE)
	@echo "Installing $(TORCH) and what samples and scores images (a few minutes the first time)"
	@$(PIP) --no-deps $(TORCH) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	@$(PIP) --editable '.[generation]'
	@touch $@

$(DEV): $(GENERATION)
	@echo "Installing the tests' tools"
	@$(PIP) --editable '.[generation,dev]'
	@touch $@
