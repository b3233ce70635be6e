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
# As in app.py, for tests and benchmarks that synthesize in their own process.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20,22,24
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

# What the tests need besides, and a demonstration or a deployment does not.
.PHONY: test-setup
test-setup: setup build/.test-packages

build/.test-packages: bin/system-packages
	$(call say,System packages for the tests)
	@bin/system-packages tests
	@mkdir -p build && touch $@

$(VENV)/.ready: build/.system-packages requirements/development.txt requirements/uv.txt
	$(call say,Python packages into $(VENV))
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/development.txt requirements/uv.txt
	@touch $@

# So that `cdk deploy` needs no package index: the packages are in the installer's cache from here on.
build/.function-packages: $(VENV)/.ready node_modules/.ready requirements/functions.txt
	@$(BIN)/python -m infra.bundle
	@touch $@

node_modules/.ready: package.json package-lock.json
	$(call say,The CDK command line and Pyodide into node_modules)
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

.PHONY: check
check: test-setup ## The quick loop, under a minute: ruff, mypy, and the unit tests that your change touches
	$(call say,ruff and mypy)
	@$(BIN)/ruff check --quiet && $(BIN)/ruff format --check --quiet && echo "ruff: nothing to say"
	@$(BIN)/mypy
	$(call say,The unit tests that import what you have changed)
	@$(BIN)/python -m tests.touched > build/touched
	@$(PYTEST) --numprocesses 3 $$(cat build/touched)

.PHONY: unit
unit: test-setup ## Unit tests: all, or one (T=path::test, slow ones too), or some (T='words of -k')
	@$(if $(T),$(PYTEST) -m '' $(if $(wildcard $(firstword $(subst ::, ,$(T)))),'$(T)',tests/unit -k '$(T)'), \
		$(PYTEST) --numprocesses 2 tests/unit)

.PHONY: format
format: setup ## Put the sources in order: ruff's formatter, and its fixes that are safe
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

COVERED := functions device
.PHONY: coverage
coverage: test-setup ## Branch coverage of functions and device by their unit tests: each has to reach 95 %
	$(call say,Unit tests of functions and device$(comma) measured)
	@rm -rf build/coverage && mkdir -p build/coverage
	@$(BIN)/coverage run -m pytest -q --numprocesses 2 $(COVERED:%=tests/unit/%)
	@$(BIN)/coverage combine --quiet
	@lacking=; for package in $(COVERED); do \
		printf '\n%s: files that are not covered altogether, and the lines and branches that lack\n' $$package; \
		$(BIN)/coverage report --include "$$package/*" --fail-under 95 || lacking="$$lacking $$package"; \
	done; \
	test -z "$$lacking" || { echo "Below 95 %:$$lacking"; exit 1; }

.PHONY: test-slow
test-slow: test-setup ## What proves thoroughness alone, some minutes: every position of a fault, thousands of random examples, 500 devices, two deployments
	$(call say,Slow unit and template tests$(comma) and random examples in their thousands)
	@$(PYTEST) --numprocesses 2 -m 'slow or hypothesis' --hypothesis-profile thorough tests/unit tests/template
	$(call say,A fleet of 500 devices)
	@FLEET_DEVICES=500 $(PYTEST) --capture=no tests/end_to_end/test_fleet_of_hundreds.py
	$(call say,Two deployments of one CA$(comma) and devices that move between them)
	@$(PYTEST) -m slow tests/end_to_end/test_two_deployments.py
	$(call say,The demonstration$(comma) and an AWS service that answers late: the alarm Slow)
	@$(PYTEST) -m slow tests/end_to_end/test_runbook.py tests/end_to_end/test_demo.py

.PHONY: mutants
SAMPLE ?= 30
SEED ?= 1
mutants: test-setup build/mutants/.ready ## Mutation testing: change code, and see which change no test notices (SAMPLE=30 SEED=1)
	$(call say,Mutation testing)
	@build/mutants/bin/python -m tests.mutation --sample $(SAMPLE) --seed $(SEED)

# An environment of its own: it brings much that nothing else needs.
build/mutants/.ready: requirements/development.txt requirements/mutation.txt requirements/uv.txt
	$(call say,Python packages for mutation testing into build/mutants)
	@$(PYTHON) -m venv build/mutants
	@$(BIN)/uv pip sync --quiet --python build/mutants/bin/python --require-hashes $^
	@touch $@

MOMENTS ?= 40
.PHONY: test-killed
test-killed: test-setup ## kill -9 of each command at random moments (MOMENTS=40 KILL_SEED=…): the next run finishes the job
	$(call say,Commands that are killed at $(MOMENTS) random moments each)
	@KILL_MOMENTS=$(MOMENTS) KILL_SEED=$(KILL_SEED) $(PYTEST) tests/unit/interrupted

.PHONY: test
test: test-setup ## Everything from nothing: lint, unit, template and end-to-end tests, two parts at a time
	$(call say,All tests)
	@$(BIN)/python -m tests.parts
	@echo "What the tests hold is in tests/; the whole story to look at: make demo"

.PHONY: template
template: test-setup ## Template tests: what the synthesized CloudFormation promises
	$(call say,Template tests: what the synthesized CloudFormation promises)
	@$(PYTEST) tests/template $(TEMPLATE_LINT:%=--ignore=%)

.PHONY: end-to-end
end-to-end: test-setup ## End-to-end tests: the deployed app, the simulated Zymkey, the real commands
	$(call say,End-to-end tests: the deployed app$(comma) the simulated Zymkey$(comma) the real commands)
	@$(PYTEST) --numprocesses 3 tests/sandbox tests/end_to_end

.PHONY: installed
installed: test-setup ## The installed device: the wheel without a compiler, other Pythons than this one
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
	@git status --short tests/template/snapshots docs/permissions.md

.PHONY: fleet
fleet: setup ## Write a new fleet's choices into cdk.json: name, topics, CA (NAME=acme, REPLACE=yes)
	@$(BIN)/python -m infra.new_fleet $(if $(REPLACE),--replace) '$(NAME)'

.PHONY: synth
synth: setup ## Write the templates to cdk.out, as `cdk synth` does
	@node_modules/.bin/cdk synth --quiet

.PHONY: bench
bench: test-setup ## Measure what things cost, against the vendor's recipe and bare libraries (ROUNDS=9)
	@$(BIN)/python -m benchmarks.bootstrap --rounds $(ROUNDS)
	@$(BIN)/python -m benchmarks.cloud --rounds $(ROUNDS)
	@$(BIN)/python -m benchmarks.herd
	@$(BIN)/python -m benchmarks.scale

.PHONY: troubleshooting
troubleshooting: test-setup ## Renew docs/troubleshooting.md: every fault is injected, and what doctor says written down
	$(call say,docs/troubleshooting.md)
	@$(BIN)/python -m tests.end_to_end.troubleshooting

.PHONY: lock
lock: ## Renew the hashed lock files in requirements/
	@cd requirements && for place in development device device-tests functions operator boto3 recipe build clients uv mutation node-22 node-24; do \
		constraint=; [ $$place = development ] || constraint='-c development.txt'; \
		../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
			--no-emit-index-url --no-header $$constraint $$place.in -o $$place.txt; done

.PHONY: clean
clean: sandbox-stop ## Remove all that these targets made
	@rm -rf build mutants cdk.out $(VENV) node_modules
