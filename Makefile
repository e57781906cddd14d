# Builds the environment, runs the course and checks it.
#
# A stamp file in the environment tells when it was built: a target that needs the environment
# builds it first if it is missing or older than the lock file.

VENV := $(or $(NATLIB_VENV),.venv)
PY := "$(VENV)/bin/python"
STAMP := $(VENV)/.installed
EXECUTED := build/notebooks
NOTEBOOKS := $(patsubst %.py,%.ipynb,$(sort $(wildcard notebooks/[0-9]*.py)))
SOLUTIONS := $(patsubst %.py,%.ipynb,$(sort $(wildcard notebooks/solutions/[0-9]*.py)))
LECTURES := $(NOTEBOOKS:notebooks/%=$(EXECUTED)/%)
COPIES := $(LECTURES) $(SOLUTIONS:notebooks/%=$(EXECUTED)/%)
# Releases chosen by hand. `make lock` keeps all that is locked and fits; with UPGRADE=1 it takes the
# newest of everything else that the index offers at that moment.
PINNED := torch==2.14.1 torchvision==0.29.1 certifi==2026.10.18

# An environment that was copied or moved with its folder, or that another system made, says so.
ifneq ($(wildcard $(STAMP)),)
ifneq ($(filter-out help clean lock,$(or $(MAKECMDGOALS),help)),)
PLACE := $(shell $(PY) -Pc 'import importlib.util as u; print(u.find_spec("natlib").origin)' 2>&1)
ifneq ($(PLACE),$(CURDIR)/natlib/__init__.py)
$(error The environment in $(VENV) was not made for this folder on this system ($(PLACE)): \
  remove it with 'rm -r "$(VENV)"' and run make again)
endif
endif
endif

# Notebooks run one after another, so each may have all cores that this process may use.
OMP_NUM_THREADS ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS
# Matrices that numpy solves here are small: its threads would only wait for each other.
export OPENBLAS_NUM_THREADS := 1
# The environment's kernel goes before kernels of the same name elsewhere.
export JUPYTER_PREFER_ENV_PATH := 1
unexport JUPYTER_PATH

NATLIB_PROFILE ?= quick
notebooks nbmake lab site slides: export NATLIB_PROFILE := $(NATLIB_PROFILE)
nbmake: export NATLIB_ANSWERS :=  # learners' answers stay as they are

.DEFAULT_GOAL := help
.PHONY: help notebooks site slides picture test nbmake lab lint pair handout peers browser lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

notebooks: $(STAMP) ## execute the series; copies with outputs go to build/notebooks
	$(PY) -m natlib notebooks

# What is not executed yet, or was before the notebook changed.
$(COPIES): $(EXECUTED)/%: notebooks/% | $(STAMP)
	$(PY) -m natlib notebooks $*

site: slides $(COPIES) ## make the book, in build/site; executes what is not executed yet
	rm -rf build/site build/doctrees
	$(PY) -m docs.book $(EXECUTED) build/slides build/book
	$(PY) -m sphinx -q -W --keep-going -c docs -d build/doctrees build/book/pages build/site
	$(PY) -m docs.check build/site
	@echo "The book: build/site/index.html"

slides: $(LECTURES) ## make a deck of slides of each notebook, in build/slides
	rm -rf build/slides
	$(PY) -m docs.slides build/slides $(LECTURES)
	$(PY) -m docs.check build/slides

picture: browser ## make the README's picture of the explorer anew; needs chromium
	$(PY) -m pytest tests/test_browser.py -k compared
	$(PY) -c "from PIL import Image; Image.open('build/browser/explorer.png').convert('RGB') \
	    .quantize(200).save('docs/explorer.png', optimize=True)"

test: $(STAMP) ## run the tests
	$(PY) -m pytest

nbmake: $(STAMP) ## execute every notebook as a test; then the copies are those of 'make notebooks'
	rm -rf build/nbmake
	@for place in $(subst notebooks/,,$(NOTEBOOKS) $(SOLUTIONS)); do \
	  mkdir -p $$(dirname build/nbmake/$$place) $$(dirname $(EXECUTED)/$$place); \
	  cp notebooks/$$place build/nbmake/$$place || exit 1; \
	done
	$(PY) -m pytest --nbmake --overwrite --nbmake-timeout=1200 build/nbmake
	@for place in $(subst notebooks/,,$(NOTEBOOKS) $(SOLUTIONS)); do \
	  mv build/nbmake/$$place $(EXECUTED)/$$place || exit 1; \
	done

lab: $(STAMP) ## open the notebooks in JupyterLab; LAB=... are options for it
	$(PY) -m jupyterlab notebooks $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB)

lint: $(STAMP) ## check style and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

pair: $(STAMP) ## generate every .ipynb from its .py, and the exercises; stops where one was edited
	$(PY) notebooks/generate.py

handout: $(STAMP) ## make a folder for a class, without solutions: build/handout
	rm -rf build/handout
	$(PY) -m natlib handout build/handout

peers: $(STAMP) ## install the packages that some tests compare natlib with
	$(PY) -m pip install --constraint requirements.lock --editable '.[peers]'

browser: $(STAMP) ## install what drives the browser in some tests
	$(PY) -m pip install --constraint requirements.lock --editable '.[browser]'

# What torch itself asks for on Linux with CUDA stays out, so that the lock serves other systems,
# and builds of torch for the CPU, too.
lock: ## make requirements.lock anew, for every Python and system; ends with a check of each
	rm -rf build/lock
	$(MAKE) build/lock/.created VENV=build/lock
	build/lock/bin/python -m pip install --quiet --upgrade pip packaging uv
	cp requirements.lock build/lock/new
	printf '%s\n' $(PINNED) > build/lock/pinned
	build/lock/bin/uv pip compile pyproject.toml --universal --python-version 3.11.0 --quiet \
	  --fork-strategy fewest --extra test --extra lint --extra site --constraint build/lock/pinned \
	  --no-header --no-annotate --no-emit-index-url $(if $(UPGRADE),--upgrade) --output-file build/lock/new
	{ echo "# Made by 'make lock', for Python 3.11 to 3.14 on Linux, macOS and Windows."; \
	  grep -Ev '^(nvidia-|cuda-|triton=)' build/lock/new; } > build/requirements.lock
	mv build/requirements.lock requirements.lock
	build/lock/bin/python -m tests.helpers.resolve
	rm -rf build/lock

clean: ## remove everything that was built here, the environment too
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis

$(VENV)/.created:
	@for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11 python3.14); do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then \
	    "$$python" -m venv "$(VENV)" && touch "$@"; exit; \
	  fi; \
	done; \
	echo "natlib needs Python 3.11 to 3.14 and found none as $(or $(PYTHON),python3 or python3.11 to python3.14):" \
	  "install it, or say where it is with 'make PYTHON=/path/to/python3'." >&2; exit 1

$(STAMP): requirements.lock | $(VENV)/.created
	@echo "Installing what requirements.lock names into $(VENV): some minutes."
	$(PY) -m pip install --requirement requirements.lock
	$(PY) -m pip install --quiet --no-deps --editable .
	@touch "$@"
