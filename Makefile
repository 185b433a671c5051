# Each target makes the virtual environment .venv if there is none, and installs the project from pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help quickstart check test lint docs

help:
	@echo "make quickstart   train a soft and a hard head on the embedded data and compare them (downloads packages only)"
	@echo "make check        lint, types, quick tests and doctests, on two cores"
	@echo "make test         the same with every test"
	@echo "make docs         the documentation site, into build/site"

quickstart: $(VENV)/.offline
	$(BIN)/soft-labels compare --config configs/quickstart.yaml

check: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

# Slow tests start processes and servers of their own, each on ports and in folders that no other test uses.
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# dev holds offline, so either stamp serves the quickstart.
$(VENV)/.offline: pyproject.toml | $(VENV)/bin/python
	test $(VENV)/.dev -nt pyproject.toml || $(BIN)/python -m pip install --editable '.[offline]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $@
