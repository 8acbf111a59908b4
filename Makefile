# make demo: set up everything and run the main job on real software
# make test: set up everything and run the tests
.PHONY: demo test lint docs screens site sweep bench setup clean

VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/stamp

demo: setup
	$(BIN)/python examples/demo/run.py

test: setup
	$(BIN)/python -m pytest -n 3 --dist loadgroup --cov --cov-report=term:skip-covered $(TESTFLAGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

docs: setup
	$(BIN)/python docs/generate.py

# what commands print, in README.md
screens: setup
	$(BIN)/python docs/screens.py

# the documentation as pages of a site, in docs/_build; a warning is an error
site: setup
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

# every system call of every command fails once: an hour or so
sweep: setup
	HDIST_SWEEP=full $(BIN)/python -m pytest -n 2 tests/faults/test_sweeps.py tests/faults/test_crowd.py $(TESTFLAGS)

bench: setup
	$(BIN)/python benchmarks/run.py

setup: $(STAMP)

# every missing system package is named before anything is installed
$(STAMP): pyproject.toml setup.py scripts/check-system
	sh scripts/check-system $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) docs/_build .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
