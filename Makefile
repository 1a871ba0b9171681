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
