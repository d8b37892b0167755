# llmops: `make demo` and `make test` need nothing before them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Two workers, each file in one of them: many tests wait for clocks and processes. `make test SIDE_BY_SIDE=` takes one.
SIDE_BY_SIDE := -n 2 --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

setup: $(READY) ## Make .venv with everything that was tested

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "llmops needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make setup PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: $(READY) ## Everything at once: a model, a load, the terminal to watch it and chat
	$(BIN)/llmops demo

test: $(READY) ## Run the tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

check: $(READY) ## Format, lint, types, import contracts, tests with coverage: what must be green before a commit
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --cov --cov-report=term

format: $(READY) ## Format, and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(READY) ## Measure: the record, refusals, overload, serving beside its peers
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.refusals
	$(BIN)/python -m benchmarks.overload
	$(BIN)/python -m benchmarks.models 29m $(VENV)/models/29m
	$(BIN)/python -m benchmarks.serving $(VENV)/models/29m

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
