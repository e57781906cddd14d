# Builds the environment, runs the course and checks it.
#
# A stamp file in the environment tells when it was built: a target that needs the environment
# builds it first if it is missing or older than the lock file.

VENV := .venv
PY := "$(VENV)/bin/python"
STAMP := $(VENV)/.installed
EXECUTED := build/notebooks
# A kernel that only this machine talks to need not warn that others could listen.
EXECUTE := --log-level WARN --to notebook --execute \
  --ExecutePreprocessor.extra_arguments=--log-level=ERROR
SCRIPTS := $(sort $(wildcard notebooks/[0-9]*.py))
NOTEBOOKS := $(SCRIPTS:.py=.ipynb)
SOLUTIONS := $(patsubst %.py,%.ipynb,$(sort $(wildcard notebooks/solutions/[0-9]*.py)))
LECTURES := $(NOTEBOOKS:notebooks/%=$(EXECUTED)/%)
COPIES := $(LECTURES) $(SOLUTIONS:notebooks/%=$(EXECUTED)/%)
# Releases chosen by hand; `make lock` takes the newest of everything else that the index offers at
# that moment. (The newest certifi was minutes old when this lock was made.)
PINNED := torch==2.14.1 torchvision==0.29.1 certifi==2026.10.18

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

.DEFAULT_GOAL := help
.PHONY: help notebooks site slides picture test nbmake lab lint pair peers browser lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

notebooks: $(STAMP) ## execute the series; copies with outputs go to build/notebooks
	@mkdir -p $(EXECUTED)
	@echo "Executing $(words $(NOTEBOOKS)) notebooks one after another," \
	  "profile '$(NATLIB_PROFILE)', $(OMP_NUM_THREADS) threads:"
	@for script in $(SCRIPTS); do \
	  echo "  $$(basename "$$script" .py): $$(grep -im1 laptop "$$script" | sed 's/^[# ]*//; s/[*_]//g')"; \
	done
	@for notebook in $(NOTEBOOKS); do \
	  name=$$(basename "$$notebook" .ipynb); start=$$(date +%s); echo "$$name ..."; \
	  $(PY) -m nbconvert $(EXECUTE) --output-dir $(EXECUTED) "$$notebook" && \
	  $(PY) -m nbconvert --log-level WARN --to html $(EXECUTED)/$$name.ipynb || \
	  { echo "$$notebook failed (the error is above); no notebook after it was run." >&2; exit 1; }; \
	  echo "$$name: $$(($$(date +%s) - start)) s, $(EXECUTED)/$$name.html"; \
	done
	@echo "Executing the solutions of the exercises:"
	@$(PY) -m nbconvert $(EXECUTE) --output-dir $(EXECUTED)/solutions $(SOLUTIONS)
	@$(PY) -m nbconvert --log-level WARN --to html \
	    $(addprefix $(EXECUTED)/solutions/,$(notdir $(SOLUTIONS)))

# What is not executed yet, or was before the notebook changed.
$(COPIES): $(EXECUTED)/%: notebooks/% | $(STAMP)
	$(PY) -m nbconvert $(EXECUTE) --output-dir $(@D) $<

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

lab: $(STAMP) ## open the notebooks in JupyterLab
	$(PY) -m jupyterlab notebooks

lint: $(STAMP) ## check style and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

pair: $(STAMP) ## generate every .ipynb from its .py, without outputs; the exercises too
	$(PY) -m jupytext --to ipynb --update $(SCRIPTS)
	$(PY) -m nbconvert --log-level WARN --clear-output --inplace $(NOTEBOOKS)
	$(PY) notebooks/generate.py

peers: $(STAMP) ## install the packages that some tests compare natlib with
	$(PY) -m pip install --constraint requirements.lock --editable '.[peers]'

browser: $(STAMP) ## install what drives the browser in some tests
	$(PY) -m pip install --constraint requirements.lock --editable '.[browser]'

# What torch itself asks for on Linux with CUDA stays out, so that the lock serves other systems too.
lock: ## make requirements.lock anew, from a new environment
	rm -rf build/lock
	$(MAKE) build/lock/.created VENV=build/lock
	build/lock/bin/python -m pip install $(PINNED) '.[test,lint,site]'
	{ echo "# Made by 'make lock', for Python 3.11."; \
	  build/lock/bin/python -m pip freeze --all --exclude pip --exclude natlib \
	  | grep -Ev '^(nvidia-|cuda-|triton=)'; } > build/requirements.lock
	mv build/requirements.lock requirements.lock
	rm -rf build/lock build/lib build/bdist.*

clean: ## remove everything that was built here, the environment too
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis

$(VENV)/.created:
	@for python in $(if $(PYTHON),"$(PYTHON)",python3.11 python3); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	    "$$python" -m venv "$(VENV)" && touch "$@"; exit; \
	  fi; \
	done; \
	echo "natlib needs Python 3.11 and found none as $(or $(PYTHON),python3.11 or python3):" \
	  "install it, or say where it is with 'make PYTHON=/path/to/python3.11'." >&2; exit 1

$(STAMP): requirements.lock | $(VENV)/.created
	@echo "Installing what requirements.lock names into $(VENV): some minutes."
	$(PY) -m pip install --requirement requirements.lock
	$(PY) -m pip install --quiet --no-deps --editable .
	@touch "$@"
