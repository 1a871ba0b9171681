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
