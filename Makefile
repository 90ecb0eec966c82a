# `make demo` and `make test` are all a newcomer needs: each installs what it uses.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo up test torture fuzz lint format bench pictures clean chromium assets clients hosts

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml instrumentation/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "FaaSight needs Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ./instrumentation --editable '.[dev]'
	@touch $@

install: $(STAMP)  ## make .venv with everything in it

demo: $(STAMP) assets  ## run the platform with live example functions; then open http://127.0.0.1:8050
	$(BIN)/faasight demo

up: $(STAMP) assets  ## run the platform alone, on an embedded ClickHouse
	$(BIN)/faasight up

# The journeys run whole demos, whose functions start and end by the clock: first, and alone. Either may fail, both run.
test: $(STAMP) chromium assets clients hosts  ## run all tests
	@$(BIN)/python -m pytest tests/journeys; journeys=$$?; \
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations 25 --ignore tests/journeys && exit $$journeys

torture: $(STAMP)  ## kill everything 50 times under load, in four ways; compare what was acknowledged with what is stored
	$(BIN)/python tests/collector/kill_rounds.py --mode all --rounds 50

lint: $(STAMP)  ## ruff, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 -p faasight
	$(BIN)/lint-imports

format: $(STAMP)  ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: $(STAMP)  ## five minutes of spoilt inputs for every door of the collector, and random OTLP there and back
	$(BIN)/python -m tests.fuzz.run --minutes $(or $(MINUTES),5)
	ROUND_TRIPS=40 $(BIN)/python -m pytest tests/collector/test_round_trip.py --timeout 1800

bench: $(STAMP)  ## measure, with the peers beside us
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

pictures: $(STAMP) chromium  ## take the README's pictures of a running demo
	$(BIN)/python docs/take_pictures.py

chromium:  # what the browser tests need; an apt install where that is possible
	@sh tests/chromium.sh

clients:  # OpenTelemetry's JavaScript SDK, which tests send with
	@sh tests/collector/js/install.sh

hosts: $(STAMP)  # what runs functions at Google and Azure
	@sh tests/instrumentation/hosts/install.sh $(abspath $(BIN)/python)

assets:  # the small Plotly bundle, where there is npm; without it the full one serves
	@sh dashboards/assets.sh

clean:  ## remove .venv, caches and the demo's data
	rm -rf $(VENV) faasight-data build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
