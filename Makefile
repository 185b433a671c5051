# Each target makes the virtual environment .venv if there is none, and installs the project from pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := build/lowest

.PHONY: help quickstart check test lint docs dist lowest lowest-check

help:
	@echo "make quickstart   train a soft and a hard head on the embedded data and compare them (downloads packages only)"
	@echo "make check        lint, types, quick tests and doctests, on two cores"
	@echo "make test         the same with every test"
	@echo "make lowest       the wheel's tests on the lowest versions that pyproject.toml allows"
	@echo "make lowest-check the same, and the quick tests on them"
	@echo "make docs         the documentation site, into build/site"
	@echo "make dist         the source archive, and the wheel that is built from it, into dist"

quickstart: $(VENV)/.offline
	$(BIN)/soft-labels compare --config configs/quickstart.yaml

check: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

# Slow tests start processes and servers of their own, each on ports and in folders that no other test uses.
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

dist: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

# In an environment of its own. What old versions warn of, newer ones have mended, so no test fails by a warning.
lowest: dist
	rm -rf $(LOWEST)
	$(PYTHON) -m venv $(LOWEST)
	$(BIN)/python -m tests.lowest > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --no-compile --constraint $(LOWEST)/constraints.txt "$$(echo dist/*.whl)[dev]"
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -o filterwarnings=default tests/test_wheel.py

lowest-check: lowest
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -n 2 -o filterwarnings=default -m "not slow" tests

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# dev holds offline, so either stamp serves the quickstart.
$(VENV)/.offline: pyproject.toml | $(VENV)/bin/python
	test $(VENV)/.dev -nt pyproject.toml || $(BIN)/python -m pip install --editable '.[offline]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $@
