# make demo    the whole pipeline on a composed walk-past; leaves a report to open
# make test    installs what the tests need and runs them all
# make check   types, style, dependency rule: under a minute
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out/demo

.PHONY: demo test check env env-dev lock clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# //p' Makefile

demo: env
	$(BIN)/overt demo --out $(OUT)

test: env-dev
	infra/test-deps.sh
	$(BIN)/pytest -n 2

check: env-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The environment holds exactly what uv.lock pins, by hash, from whatever index pip or uv is configured to use.
env: $(VENV)/.run
env-dev: $(VENV)/.dev

$(VENV)/.run: uv.lock pyproject.toml infra/env.sh
	PYTHON=$(PYTHON) infra/env.sh $(VENV)
	@touch $@

$(VENV)/.dev: uv.lock pyproject.toml infra/env.sh
	PYTHON=$(PYTHON) infra/env.sh $(VENV) dev
	@touch $@ $(VENV)/.run

lock:
	infra/lock.sh

clean:
	rm -rf $(VENV) out build dist

# make up, make down     the stack of docker-compose.yml (docs/deploying.md)
# make smoke             proves that it works: a short video through a stack of its own
# make compose-test      the same where no image can be pulled: on images that stand in, as root
.PHONY: image up down smoke compose-test

image:
	infra/docker/build

up: image
	infra/docker/prepare
	infra/docker/compose up -d

down:
	infra/docker/compose down

smoke: env image
	$(BIN)/python -m tests.compose.smoke

compose-test: env-dev
	infra/docker/compose-test $(BIN)/python

# make fuzz              hostile bytes for every decoder, EXAMPLES of them (20000: about half an hour)
# make sbom              out/sbom.cdx.json: what a running Overt is made of
# make audit             known vulnerabilities of what is pinned; it needs the network
# make licences          the licence of each package and model
.PHONY: fuzz sbom audit licences
EXAMPLES ?= 20000

fuzz: env-dev
	FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -n 2 --timeout 0 tests/unit/test_fuzz_*.py

sbom: env
	infra/security/sbom

audit: env
	PYTHON=$(PYTHON) infra/security/audit

licences: env
	$(BIN)/python infra/security/licences

# make faults            one fault after the other against three brokers; 20 minutes; as root, all of them
# make soak              is it flat? MINUTES of load (60)
.PHONY: faults soak
MINUTES ?= 60

faults: env-dev
	$(BIN)/python -m tests.faults.ordeal

soak: env-dev
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

# make many-sites        two sites and a centre: the line cut for two minutes, MirrorMaker and a broker killed
.PHONY: many-sites
many-sites: env-dev
	$(BIN)/python -m tests.faults.many_sites
