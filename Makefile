# Everything sets itself up: `make demo` and `make test` need Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo experiment test test-slow test-ray lint bench clean

$(READY): pyproject.toml constraints.txt setup.py $(wildcard src/lingraft/*/*.pyx src/lingraft/*/*.pxi)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lingraft needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@

demo: $(READY)
	$(BIN)/lingraft demo --out out/demo

experiment: $(READY)
	$(BIN)/lingraft experiment recipes/experiment-small.yaml --out out/experiment --workers 2 --page docs/when-names-help.md

test: $(READY)
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

test-ray: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray,dev]'
	$(BIN)/python -m pytest -m slow tests/corpus/test_build_on_ray.py tests/real/test_scale_real.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(READY)
	$(BIN)/python benchmarks/extraction.py
	$(BIN)/python benchmarks/titles.py
	$(BIN)/python benchmarks/sources.py
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/mentions.py
	$(BIN)/python benchmarks/encoding.py
	$(BIN)/python benchmarks/packing.py
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/transfer_features.py
	$(BIN)/python benchmarks/training.py --size tiny

clean:
	rm -rf out build dist .pytest_cache .ruff_cache .hypothesis
