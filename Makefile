# Three commands, each from nothing: `make study`, `make test` and `make docs`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# A machine may say that bytecode is not to be written (containers do): each of the programs that are started here would
# compile the libraries anew, which takes longer than what it does.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: study test check bench docs clean

# Bytecode is compiled as modules are imported: of what is installed, most never is, and it would take a minute or two.
INSTALL := $(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable

# The pip that a Python brings may be years old: a new one finds the versions in half of the time.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$@ -m pip install --quiet --upgrade --constraint constraints.txt pip

$(VENV)/ready: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) ".[fast,torch,data]"
	touch $@

$(VENV)/ready-test: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) ".[fast,torch,data,docs,test]"
	touch $(VENV)/ready $@

$(VENV)/ready-docs: $(VENV)/ready
	$(INSTALL) ".[fast,torch,data,docs]"
	touch $@

$(VENV)/ready-bench: $(VENV)/ready-test
	$(INSTALL) ".[fast,torch,data,test,bench]"
	touch $@

study: $(VENV)/ready  ## search the diabetes data, show the choice, say where to browse it
	$(BIN)/regsearch run studies/diabetes_linear.py --trials 50
	$(BIN)/regsearch show diabetes-linear --rule one_se --top 5

test: $(VENV)/ready-test  ## every test, and the static checks
	@tools/check $(BIN)

bench: $(VENV)/ready-bench  ## the measurements behind the figures in the docs
	$(BIN)/python benchmarks/linear.py
	$(BIN)/python benchmarks/classes.py
	$(BIN)/python benchmarks/linear_bars.py
	$(BIN)/python benchmarks/neural.py
	$(BIN)/python benchmarks/insight.py
	$(BIN)/python benchmarks/rounds.py
	$(BIN)/python benchmarks/bias.py
	$(BIN)/python benchmarks/browsing.py
	$(BIN)/python benchmarks/shipping.py
	$(BIN)/python benchmarks/large.py

docs: $(VENV)/ready-docs  ## the documentation, every block of it run, as a folder that opens without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Open build/site/index.html"

clean:
	rm -rf $(VENV)
