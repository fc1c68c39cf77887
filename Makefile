# Every target does its own set-up in .venv, and is quick when pyproject.toml has not changed since.
# PYTHON=...      the Python to make .venv with (3.11 to 3.13)
# TORCH_INDEX=... a package index with CPU builds of torch, tried first: PyPI's own is a CUDA build of several GB

.DEFAULT_GOAL := help
.PHONY: help setup serve gpu demo train test slow lint format words ci bench peers gpu-check screenshots bento clean

VENV := .venv
BIN := $(VENV)/bin
SERVE := $(VENV)/.set-up-to-serve
DEV := $(VENV)/.set-up-to-develop
BENCHMARKS ?= starters batching memory banking77
QUIET_LIBRARIES := HF_HUB_OFFLINE=1 BENTOML_DO_NOT_TRACK=True TOKENIZERS_PARALLELISM=false

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(SERVE) ## install what serving and training need into .venv

serve: $(SERVE) ## serve on 127.0.0.1:3000; the first start trains the starter tasks
	$(BIN)/regrade serve

gpu: $(SERVE) ## put ONNX Runtime's GPU build in place of the CPU's in .venv; a few GB, on a machine with a GPU
	$(BIN)/python scripts/setup.py gpu

demo: $(SERVE) ## fill the pages of the running service with demo data: make demo ARGS="--minutes 10", or ARGS=--clear
	$(BIN)/regrade demo $(ARGS)

train: $(SERVE) ## train a task: make train TASK=support-intent
	$(BIN)/regrade train $(TASK)

test: $(DEV) ## run the tests that take seconds, in parallel
	$(QUIET_LIBRARIES) $(BIN)/python -m pytest -n auto -m "not slow" $(ARGS)

slow: $(DEV) ## run the tests that take minutes
	$(QUIET_LIBRARIES) $(BIN)/python -m pytest -m slow --durations=10 $(ARGS)

lint: $(DEV) ## check style, types and the import rule, and the pages' scripts where npm is
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	sh scripts/check_pages.sh

format: $(DEV) ## put the code into its form
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
	sh scripts/check_pages.sh --write

words: $(DEV) ## gather the pages' words for translators, into service/pages/locales/*/LC_MESSAGES/messages.po
	$(BIN)/python scripts/words.py

ci: ## run all that CI runs
	bash .ci/run

bench: $(DEV) ## run the benchmarks, about an hour; needs wrk and the public data
	@set -e; for name in $(BENCHMARKS); do echo "$$name"; $(QUIET_LIBRARIES) $(BIN)/python -m "benchmarks.$$name"; done

peers: $(DEV) ## serve the same model by other servers too and compare: 40 minutes, 8 GB; make peers ARGS=--quick: 12
	$(QUIET_LIBRARIES) $(BIN)/python -m benchmarks.peers $(ARGS)

gpu-check: $(SERVE) ## prove the GPU runners on this machine: parity, throughput, memory; after make gpu
	$(QUIET_LIBRARIES) $(BIN)/python -m benchmarks.gpu $(ARGS)

screenshots: $(DEV) ## take the README's pictures of the pages again; needs Chromium
	$(QUIET_LIBRARIES) $(BIN)/python scripts/screenshots.py $(ARGS)

bento: $(SERVE) ## pack the service and its live models into a Bento
	$(BIN)/regrade bento

clean: ## remove .venv, caches and build outputs; var/ with your data stays
	rm -rf $(VENV) node_modules build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

$(SERVE): pyproject.toml scripts/setup.py
	@python="$$(sh scripts/find_python.sh)" && "$$python" scripts/setup.py serve
	@touch $@

$(DEV): pyproject.toml scripts/setup.py
	@python="$$(sh scripts/find_python.sh)" && "$$python" scripts/setup.py dev
	@touch $@ $(SERVE)
