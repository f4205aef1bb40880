# make serve   set up and serve on loopback; prints what Okta's page asks for
# make test    set up and run the tests
# make lint    linter, formatter and type checker
# make engine-double   a stand-in of a SingleStore cluster on loopback, to try the gateway on
# make portal-double   a stand-in of the SingleStore Portal on loopback, to try the gateway on
# make bench   the benchmark, its short form (benchmarks/README.rst has the others)
# make conformance  write the names of the tests into docs/conformance.rst
# make clean   remove what the other targets made (not the directory in data/)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BIND ?= 127.0.0.1:8000
DEFINITION := setup.cfg setup.py pyproject.toml

.PHONY: serve test mariadb lint bench conformance engine-double portal-double clean
.DELETE_ON_ERROR:

serve: $(VENV)/installed
	$(BIN)/scim-gateway serve --bind $(BIND)

test: $(VENV)/installed-test mariadb
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

# The tests start a MariaDB of their own, in a folder that goes with them; these packages hold no service.
mariadb:
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin"; command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null || \
	    { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	      export DEBIAN_FRONTEND=noninteractive && apt-get update -qq </dev/null && \
	      apt-get install -y -qq --no-install-recommends mariadb-server-core mariadb-client-core </dev/null; } || \
	    echo "The tests on MariaDB are left out. To run them: sudo apt-get install mariadb-server-core mariadb-client-core" >&2

lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict scim_gateway backends

engine-double: $(VENV)/installed-test
	PYTHONPATH=tests $(BIN)/python -m doubles.singlestore $(ARGS)

portal-double: $(VENV)/installed-test
	PYTHONPATH=tests $(BIN)/python -m doubles.portal $(ARGS)

bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks $(ARGS)

conformance: $(VENV)/installed-test
	$(BIN)/python tests/conformance.py

# Entry points exist only by an install, so a change of setup.cfg installs again.
$(VENV)/installed: $(VENV)/pyvenv.cfg $(DEFINITION)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/pyvenv.cfg $(DEFINITION)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-bench: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --editable '.[test,bench]'
	@touch $@

$(VENV)/installed-lint: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --editable '.[test,lint]'
	@touch $@

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "scim-gateway needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "The module venv of $(PYTHON) is missing. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .tox build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
