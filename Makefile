# Every target sets up what it needs; a second call finds it done.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo serve test test-services lint bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/seamwise demo

serve: $(READY)
	$(BIN)/seamwise serve

test: $(READY)
	OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# The servers come from Debian's packages and live in a folder of their own; a test that skips for want of one fails.
test-services: $(READY)
	$(PYTHON) deploy/services install
	SEAMWISE_TEST_SERVICES=required OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 \
		$(PYTHON) deploy/services run -- $(BIN)/python -m pytest -n 2 -m services

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/si_step.py

clean:
	rm -rf $(VENV)
