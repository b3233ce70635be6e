# `make` alone lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
# Bytecode is what makes the many short commands of the tests and the sandbox quick.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
ISSUER ?= kms
ROUNDS ?= 9
VENV := .venv
BIN := $(VENV)/bin

PYTEST := $(BIN)/python -m pytest -q
# Part of `make lint`, so not run again with the other template tests.
TEMPLATE_LINT := tests/template/test_findings.py tests/template/test_snapshots.py
# The CDK warns at length of Node 20, which is what Debian has and what this is tested with.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
comma := ,

say = @printf '\n\033[1m== %s\033[0m\n' "$(1)"

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.ready node_modules/.ready build/.function-packages ## Install everything that the project needs, here

# System packages first: the virtual environment needs one of them.
build/.system-packages: bin/system-packages
	$(call say,System packages)
	@bin/system-packages
	@mkdir -p build && touch $@

$(VENV)/.ready: build/.system-packages requirements/development.txt requirements/uv.txt
	$(call say,Python packages into $(VENV))
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/development.txt requirements/uv.txt
	@touch $@

# So that `cdk deploy` needs no package index: the packages are in the installer's cache from here on.
build/.function-packages: $(VENV)/.ready requirements/functions.txt
	@$(BIN)/python -m infra.bundle
	@touch $@

node_modules/.ready: package.json package-lock.json
	$(call say,The CDK command line into node_modules)
	@npm ci --silent
	@touch $@

.PHONY: sandbox
sandbox: setup ## Start the cloud on this machine and leave it running (ISSUER=kms|aws|external)
	$(call say,Sandbox)
	@$(BIN)/python -m sandbox start --issuer $(ISSUER)

.PHONY: sandbox-stop
sandbox-stop: ## End what `make sandbox` left running
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m sandbox stop; fi

.PHONY: demo
demo: setup ## From nothing to a message signed by the HSM, step by step (ISSUER=kms|aws|external)
	@$(BIN)/python -m sandbox demo --issuer $(ISSUER)

.PHONY: test
test: setup ## Everything from nothing: lint, unit, template and end-to-end tests, two parts at a time
	$(call say,All tests)
	@$(BIN)/python -m tests.parts
	@echo "What the tests hold is in tests/; the whole story to look at: make demo"

.PHONY: unit
unit: setup ## Unit tests
	$(call say,Unit tests)
	@$(PYTEST) --numprocesses 2 tests/unit

.PHONY: template
template: setup ## Template tests: what the synthesized CloudFormation promises
	$(call say,Template tests: what the synthesized CloudFormation promises)
	@$(PYTEST) tests/template $(TEMPLATE_LINT:%=--ignore=%)

.PHONY: end-to-end
end-to-end: setup ## End-to-end tests: the deployed app, the simulated Zymkey, the real commands
	$(call say,End-to-end tests: the deployed app$(comma) the simulated Zymkey$(comma) the real commands)
	@$(PYTEST) --numprocesses 3 tests/sandbox tests/end_to_end

.PHONY: installed
installed: setup ## The installed device: the wheel without a compiler, other Pythons than this one
	$(call say,The installed device: the wheel without a compiler$(comma) other Pythons than this one)
	@$(PYTEST) tests/installed

.PHONY: lint
lint: setup ## ruff, mypy; cdk-nag, cfn-lint and snapshots of the templates
	$(call say,Lint)
	@$(BIN)/ruff check --quiet && $(BIN)/ruff format --check --quiet && echo "ruff: nothing to say"
	@$(BIN)/mypy
	@$(PYTEST) $(TEMPLATE_LINT)

.PHONY: snapshot
snapshot: setup ## Renew the committed snapshots of the templates: look at the difference before you commit it
	@$(BIN)/python -m tests.template.snapshots
	@git status --short tests/template/snapshots

.PHONY: synth
synth: setup ## Write the templates to cdk.out, as `cdk synth` does
	@node_modules/.bin/cdk synth --quiet

.PHONY: bench
bench: setup ## Measure what things cost, against the vendor's recipe and bare libraries (ROUNDS=9)
	@$(BIN)/python -m benchmarks.bootstrap --rounds $(ROUNDS)
	@$(BIN)/python -m benchmarks.cloud --rounds $(ROUNDS)

.PHONY: troubleshooting
troubleshooting: setup ## Renew docs/troubleshooting.md: every fault is injected, and what doctor says written down
	$(call say,docs/troubleshooting.md)
	@$(BIN)/python -m tests.end_to_end.troubleshooting

.PHONY: lock
lock: ## Renew the hashed lock files in requirements/
	@cd requirements && for place in development device device-tests functions operator recipe build clients uv; do \
		constraint=; [ $$place = development ] || constraint='-c development.txt'; \
		../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
			--no-emit-index-url --no-header $$constraint $$place.in -o $$place.txt; done

.PHONY: clean
clean: sandbox-stop ## Remove all that these targets made
	@rm -rf build cdk.out $(VENV) node_modules
