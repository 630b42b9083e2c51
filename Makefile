# make demo   the whole chain on a simulated region, offline
# make test   lint, types and all tests
# Everything is installed into .venv; the system's Python is never touched.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo lint test bench clean

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt

help:
	@echo 'make setup   build the environment in $(VENV) (needs Python 3.12 or newer)'
	@echo 'make demo    setup, then run the demonstration on a simulated region (offline)'
	@echo 'make test    setup, then lint, types and all tests'
	@echo 'make lint    ruff and mypy only'
	@echo 'make bench   the benchmarks in benchmarks/ (one of them: make bench-NAME, e.g. bench-indices)'
	@echo 'make clean   remove $(VENV), caches and the demonstration'

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(VENV)/.python:
	@python=$$(.ci/find-python) || exit 1; \
	echo "building $(VENV) with $$python"; \
	rm -rf $(VENV) && "$$python" -m venv $(VENV) && touch $@

$(VENV)/.installed: $(VENV)/.python $(INPUTS)
	@echo 'installing eco-index and what it needs (a few minutes the first time)'
	@$(PIP) --editable . && touch $@

$(VENV)/.installed-dev: $(VENV)/.installed $(INPUTS)
	@echo 'installing what the tests need'
	@$(PIP) --editable '.[dev]' && touch $@

demo: setup
	@$(BIN)/eco demo

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

bench: setup-dev
	$(BIN)/python -m benchmarks

bench-%: setup-dev
	$(BIN)/python -m benchmarks $*

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info eco-demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
