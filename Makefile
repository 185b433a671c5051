# Each target makes the virtual environment .venv if there is none, and installs the project from pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help quickstart test lint

help:
	@echo "make quickstart   train a soft and a hard head on the embedded data and compare them (downloads packages only)"
	@echo "make test         lint, types, tests and doctests"

quickstart: $(VENV)/.offline
	$(BIN)/soft-labels compare --config configs/quickstart.yaml

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# dev holds offline, so either stamp serves the quickstart.
$(VENV)/.offline: pyproject.toml | $(VENV)/bin/python
	test $(VENV)/.dev -nt pyproject.toml || $(BIN)/python -m pip install --editable '.[offline]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $@
