# Everything here works on a bare machine with Python 3.11+: the first use of a target sets up
# the virtual environment that it needs, later uses find it ready.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
FUZZ_SECONDS ?= 60
FUZZ_SEED ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq

# Where this is set, every process that the tests start would compile all sources anew.
unexport PYTHONDONTWRITEBYTECODE

# Material for MkDocs announces the end of its own support in every build; this silences it.
export NO_MKDOCS_2_WARNING := true

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set-up: one stamp per step, renewed when what it was made from changes ---

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "netledger needs Python 3.11 or newer, and '$(PYTHON)' is not one." >&2; \
	  echo "Name one that is, for example: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON) -m venv' does not work here: the venv module is missing." >&2; \
	  echo "On Debian or Ubuntu: apt-get install python3-venv; then run make again." >&2; exit 1; }
	@echo "set-up: virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/core: $(STAMPS)/venv pyproject.toml
	@echo "set-up: netledger and its core dependencies"
	@$(PIP) -e .
	@touch $@

$(STAMPS)/test: $(STAMPS)/core requirements/test.txt requirements/no-deps.txt requirements/fuzz.txt
	@echo "set-up: test tools (the first time this fetches PyTorch, which takes a while)"
	@$(PIP) -r requirements/test.txt
	@$(PIP) --no-deps -r requirements/no-deps.txt
	@$(PIP) -r requirements/fuzz.txt || echo "set-up: no atheris for this Python; make fuzz will skip" >&2
	@touch $@

$(STAMPS)/bench: $(STAMPS)/test requirements/bench.txt
	@echo "set-up: a tool to be measured against"
	@$(PIP) -r requirements/bench.txt
	@touch $@

$(STAMPS)/docs: $(STAMPS)/core requirements/docs.txt
	@echo "set-up: documentation tools"
	@$(PIP) -r requirements/docs.txt
	@touch $@

.PHONY: setup
setup: $(STAMPS)/test $(STAMPS)/docs ## set up everything for development in .venv

# --- what to run ---

.PHONY: alexnet
alexnet: $(STAMPS)/core ## print the ledger of AlexNet
	@$(BIN)/netledger show alexnet

.PHONY: test
test: $(STAMPS)/test $(STAMPS)/docs lint types imports docs ## run all checks, then all tests
	@echo "check: pytest"
	@$(BIN)/python -m pytest -n 2

.PHONY: lint
lint: $(STAMPS)/test ## check style and formatting
	@echo "check: ruff check"
	@$(BIN)/ruff check --quiet .
	@echo "check: ruff format --check"
	@$(BIN)/ruff format --check --quiet . || { \
	  $(BIN)/ruff format --check .; echo "Run 'make format'." >&2; exit 1; }

.PHONY: types
types: $(STAMPS)/test ## check types
	@echo "check: mypy"
	@$(BIN)/mypy

.PHONY: imports
imports: $(STAMPS)/test ## check which way imports run
	@echo "check: lint-imports"
	@$(BIN)/lint-imports --no-logo

.PHONY: docs
docs: $(STAMPS)/docs ## build the documentation into site/
	@echo "check: mkdocs build --strict"
	@$(BIN)/mkdocs build --strict --quiet

.PHONY: fuzz
fuzz: $(STAMPS)/test ## fuzz every parser for FUZZ_SECONDS (60) each, two at a time
	@echo "check: fuzz"
	@if $(BIN)/python -c 'import atheris' 2>/dev/null; then \
	  printf '%s\n' fuzz/fuzz_*.py | \
	    xargs -P 2 -I TARGET $(BIN)/python fuzz/run.py TARGET $(FUZZ_SECONDS) $(FUZZ_SEED); \
	else \
	  echo "skipped: atheris is not installed here (requirements/fuzz.txt)"; \
	fi

.PHONY: changelog
changelog: $(STAMPS)/docs ## show what the next release notes will say
	@$(BIN)/towncrier build --draft

.PHONY: bench
bench: $(STAMPS)/bench ## measure speed and memory
	@$(BIN)/python -m benchmarks

.PHONY: prove
prove: $(STAMPS)/test ## run the exhaustive proofs; what they print is kept in docs/proofs
	@# Keras builds all of its networks on JAX, not on PyTorch; its MACs are counted on PyTorch.
	@KERAS_BACKEND=jax $(BIN)/python -m pytest -m slow -s tests/readers
	@$(BIN)/python -m pytest -m slow -s tests --ignore=tests/readers

.PHONY: format
format: $(STAMPS)/test ## format the code and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: clean
clean: ## remove everything that make has made
	rm -rf $(VENV) site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
