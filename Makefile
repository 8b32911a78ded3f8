SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# Tests wait for real servers most of the time: more of them at once than there are cores.
WORKERS ?= 4
# Python's bytecode is kept, whatever the machine says: a release's test starts dozens of interpreters, each of which would
# compile everything anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup sandbox test check bench chaos lock format clean

help: ## Show what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; python3 is $$(python3 --version)"; exit 1; }
	@test -x $(BIN)/python || python3 -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(STAMP) ## Make .venv with everything that Python needs

sandbox: $(STAMP) ## Run the bot in an embedded world (Ctrl-C ends it)
	@scripts/system-packages sandbox
	@exec $(BIN)/releasebot sandbox $(ARGS)

test: $(STAMP) ## Run the tests against real servers (installs them where it may)
	@scripts/system-packages test || [ -z "$$CI" ]
	@$(BIN)/python -m sandbox.elasticsearch || [ -z "$$CI" ]
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist load --maxschedchunk 2 $(ARGS)

check: $(STAMP) ## Lint, format, types, import contracts, lock file, licences, SBOM, advisories
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python scripts/check-files
	@$(MAKE) --no-print-directory build/sbom.json
	@$(BIN)/python scripts/check-supply

build/sbom.json: $(STAMP) # the bill of materials (CycloneDX), validated; as old as what is installed
	@mkdir -p build
	@$(BIN)/cyclonedx-py environment $(VENV) --pyproject pyproject.toml --output-reproducible --of JSON --validate -o $@.new
	@mv $@.new $@

chaos: $(STAMP) ## Run the slow matrices whole
	@scripts/system-packages test
	@$(BIN)/python -m sandbox.elasticsearch
	@$(BIN)/python -m tests.matrix $(ARGS)
	@CHAOS=all $(BIN)/python -m pytest tests/scenarios tests/engine tests/slack/test_fuzz.py -k "kill or replica or trouble or fuzz"

bench: $(STAMP) ## Measure, as ratios against a peer or a floor in the same run
	@scripts/system-packages test
	@$(BIN)/python -m sandbox.elasticsearch
	@$(BIN)/python -m bench $(ARGS)

lock: ## Refresh constraints.txt (versions only, no addresses)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --extra dev --extra sandbox pyproject.toml scripts/tools.in --output-file constraints.txt

format: $(STAMP) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## Remove what make made
	@rm -rf $(VENV) build .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
