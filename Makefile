# Every target sets up what it needs; nothing but Python ≥ 3.11, make and a C compiler is presumed.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := $(wildcard hotpath/*.pyx hotpath/*.pxd loadtest/*.pyx loadtest/*.pxd) setup.py

.DEFAULT_GOAL := help
.PHONY: help setup run test test-big test-postgres test-debug test-asan test-mutations fuzz torture lint format load bench lock clean

help:                      ## what can be done here
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "People Power Journey needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python3 cannot make a virtual environment; install its venv module (Debian: python3-venv)"; exit 1; }

$(VENV)/.runtime: requirements.lock $(BIN)/python
	@echo "setting up the environment in $(VENV) …"
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "adding the development tools …"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# Editable, so that the console script and the tree are one; the extensions are built in place.
$(VENV)/.built: $(SOURCES) pyproject.toml $(VENV)/.runtime
	@echo "building the extensions …"
	@$(BIN)/python setup.py -q build_ext --inplace
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.built      ## environment and extensions
run: setup                 ## serve the game on this machine
	@exec $(BIN)/gameserver serve
test: $(VENV)/.dev setup   ## every test
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)
test-big: $(VENV)/.dev setup  ## a million players: indexes used, figures to build/query-budget.md; some 15 minutes
	@$(BIN)/python -m pytest -m big -p no:cacheprovider -o faulthandler_timeout=0 -s tests/integration/big $(ARGS)
# What uses the database, on other programs than the embedded ones; no server of the system is needed or touched.
test-postgres: $(VENV)/.dev setup  ## the database's tests on another PostgreSQL: POSTGRES=/usr/lib/postgresql/15/bin
	@test -x "$(POSTGRES)/postgres" || { echo "set POSTGRES to a folder with its programs: POSTGRES=/usr/lib/postgresql/15/bin"; exit 1; }
	@TEST_POSTGRES_BIN="$(POSTGRES)" $(BIN)/python -m pytest -q -n auto --dist loadgroup -m database tests/integration $(ARGS)
# What reaches the extensions, over builds of them with checks, each in a copy of the tree under build/checked.
NEAR_C  := tests/unit/hotpath tests/property tests/unit/gameserver/actors tests/unit/gameserver/edge
SOCKETS := $(addprefix tests/integration/edge/test_,frames.py handshake.py transport.py)
CHECKED := $(BIN)/python -m tests.checked_build
test-debug: $(VENV)/.dev setup  ## the extensions with bounds and overflow checks
	@$(CHECKED) debug -m pytest -q -p no:cacheprovider -n auto --dist loadgroup $(NEAR_C) $(ARGS)
test-asan: $(VENV)/.dev setup  ## the extensions under AddressSanitizer (gcc)
	@$(CHECKED) asan -m pytest -q -p no:cacheprovider -n auto --dist loadgroup $(NEAR_C) $(SOCKETS) -k "not portable" $(ARGS)
# First with eyes, then what was found, and changes to it, under AddressSanitizer.
fuzz: $(VENV)/.dev setup   ## frame parser and tap codec: SECONDS=30, twice
	@$(BIN)/python -m tests.fuzz.run $(SECONDS)
	@$(CHECKED) asan -m tests.fuzz.run --blind --findings $(CURDIR)/build/fuzz $(SECONDS)
# Not the variable of `make load`, whose default is too short for it; the seed is drawn and printed where none is given.
torture: $(VENV)/.dev setup  ## servers and database killed, cut, frozen under load, and then checked: SECONDS=600 SEED=7
	@$(BIN)/python -m tests.fault.torture $(if $(filter command line environment,$(origin SECONDS)),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(ARGS)
# One after the other and on a machine that does little else: each needs its moment to go wrong.
test-mutations: $(VENV)/.dev setup  ## what the checker says of servers with fence, cursors, batch rows, … switched off
	@$(BIN)/python -m pytest -m mutation tests/fault $(ARGS)
lint: $(VENV)/.dev setup   ## style, types, import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/cython-lint hotpath loadtest  # it looks for pycodestyle on the PATH
	@$(BIN)/mypy
	@$(BIN)/lint-imports
format: $(VENV)/.dev       ## put the code into its form
	@$(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format .
USERS   ?= 200
SECONDS ?= 30
load: $(VENV)/.dev setup   ## locust against a server of its own: USERS=200 SECONDS=30
	@$(BIN)/python -m loadtest.report --users $(USERS) --seconds $(SECONDS)
bench: $(VENV)/.dev setup  ## every measurement, as ratios in one run: QUICK=1 for two minutes
	@$(BIN)/python -m loadtest.bench $(if $(QUICK),--quick) $(ARGS)
lock:                      ## write the lock files anew (needs uv)
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
	  --upgrade --extra build -o requirements.lock pyproject.toml
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
	  -c requirements.lock --extra build --extra dev --extra loadtest -o requirements-dev.lock pyproject.toml
clean:                     ## all that was built
	@rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info hotpath/*.so loadtest/*.so
