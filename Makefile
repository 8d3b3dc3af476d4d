# Needs git, make and Python 3.11 to 3.13. `make run` is the first command, `make test` the second.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$$p" && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEER_VENV := .venv-peer
TRAIN_VENV := .venv-train
NNUNET_VENV := .venv-nnunet
# A label map in pymskt's numbering, as its own tests have.
PEER_LABELS ?= $(wildcard ../shared/data/right-knee-label.nrrd)
BENCH ?=
# Expert label maps: FOLDER/train and FOLDER/validation, or all in FOLDER. TRAIN, EVALUATE, REPEAT: further options.
MAPS ?=
MINUTES ?= 5
TRAIN ?=
EVALUATE ?=
REPEAT ?=
SCAN ?=

.PHONY: help setup run test test-fast docs check format bench bench-service bench-pages bench-peer bench-nnunet screenshots sample train train-edges evaluate shape-model evaluate-shape reproducibility real-scan clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## the environment alone (.venv)

# Made again only when a requirement has changed.
$(READY): requirements.txt requirements-dev.txt requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found. Name one: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null || { \
		echo "Making $(VENV) with $$($(PYTHON) --version) ..."; rm -rf $(VENV); \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
			echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; }
	@echo "Installing the pinned packages (about 1.7 GB; two minutes on a fast line) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt -r requirements-dev.txt -c requirements.lock
	@touch $(READY)

run: $(READY) ## the product: queue, worker, REST interface, pages; stops with Ctrl-C
	@exec $(BIN)/python serve.py

# Files of tests side by side, each in one process: a third of the time of a test is waiting. AT_ONCE=0: one after the other.
AT_ONCE ?= 3
SIDE_BY_SIDE := -n $(AT_ONCE) --dist loadfile --no-loadscope-reorder

test: $(READY) ## every test
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-fast: $(READY) ## the tests that take seconds
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

# Warnings are errors. Nothing is fetched: the site is built and read without a network.
docs: $(READY) ## the documentation site, into build/docs
	@$(BIN)/python -m sphinx -q -W --keep-going -n -j 2 -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

check: $(READY) ## lint, format, types, who imports whom, sizes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/repository/test_architecture.py

format: $(READY) ## bring the code into its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## measure what README's table says
	@$(BIN)/python -m bench.run $(BENCH)

bench-service: $(READY) ## measure what the service promises: kills, floods, lies
	@$(BIN)/python -m bench.service $(BENCH)

bench-pages: $(READY) ## measure what the pages promise, in a real browser
	@$(BIN)/python -m bench.pages $(BENCH)

# The peer's package lives in an environment of its own: it needs older versions than ours.
bench-peer: $(READY) ## compare with the nearest peer, in .venv-peer
	@test -n "$(PEER_LABELS)" || { echo 'Name a label map in pymskt numbering: make bench-peer PEER_LABELS=FILE' >&2; exit 1; }
	@$(BIN)/python -m bench.peer --environment $(PEER_VENV) --labels $(PEER_LABELS)

# nnU-Net and torch live in an environment of their own, as in training.
bench-nnunet: $(READY) ## compare with nnU-Net's own predictor, in .venv-nnunet: make bench-nnunet MAPS=HELD_OUT_MAP
	@test -n "$(MAPS)" || { echo 'Name an expert label map of a held-out knee: make bench-nnunet MAPS=FILE' >&2; exit 1; }
	@$(BIN)/python -m bench.nnunet --environment $(NNUNET_VENV) --map $(MAPS)

screenshots: $(READY) ## a picture of every page in every state, into build/screenshots (needs Chromium)
	@$(BIN)/python -m bench.pages.screenshots $(BENCH)

sample: $(READY) ## make the sample knee again
	@$(BIN)/python -m training.sample

# torch is needed for training only, so it has an environment of its own. On Linux PyPI's wheel carries CUDA (3 GB);
# without: make train PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
$(TRAIN_VENV)/.ready: requirements-train.txt requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found." >&2; exit 1; }
	@test -x $(TRAIN_VENV)/bin/python || { echo "Making $(TRAIN_VENV) ..."; $(PYTHON) -m venv $(TRAIN_VENV); }
	@$(TRAIN_VENV)/bin/python -m pip install --disable-pip-version-check --quiet -r requirements-train.txt -c requirements.lock
	@touch $@

train: $(TRAIN_VENV)/.ready ## train the network, in .venv-train: make train MAPS=FOLDER MINUTES=60
	@$(TRAIN_VENV)/bin/python -m training.knee_unet.train $(MAPS) --minutes $(MINUTES) $(TRAIN)

# The networks are trained on profiles of synthetic joints, which are collected first, for MINUTES.
train-edges: $(TRAIN_VENV)/.ready ## train the network for edges, in .venv-train: make train-edges MAPS=FOLDER MINUTES=30
	@test -n "$(MAPS)" || { echo 'Name a folder of label maps: make train-edges MAPS=FOLDER' >&2; exit 1; }
	@$(TRAIN_VENV)/bin/python -m training.edges.train $(MAPS) --collect $(MINUTES) $(TRAIN)

# EVALUATE=--training-renderer measures on scans of the held-out knees from the training renderer (rendered_scan.py).
# EVALUATE=--confidence determines the confidence flag instead; EVALUATE="--confidence --model nnunet_cascade" for the cascade.
evaluate: $(READY) ## measure the network on held-out maps, figures into its card: make evaluate MAPS=FOLDER
	@test -n "$(MAPS)" || { echo 'Name a folder of held-out label maps: make evaluate MAPS=FOLDER' >&2; exit 1; }
	@$(BIN)/python -m training.knee_unet.evaluate $(MAPS) --card $(EVALUATE)

# Knees of MAPS/train held out of the training of the shape model; it is measured on these and on MAPS/validation.
WITHOUT ?= $(shell ls $(MAPS)/train 2>/dev/null | sed 's/_.*//' | sort -u | tail -n 3)
SHAPE := data/shape_model

shape-model: $(TRAIN_VENV)/.ready ## train the shape model, in .venv-train: make shape-model MAPS=FOLDER MINUTES=15
	@test -n "$(MAPS)" || { echo 'Name a folder of label maps: make shape-model MAPS=FOLDER' >&2; exit 1; }
	@$(TRAIN_VENV)/bin/python -m training.shape_model.collection $(MAPS)/train $(SHAPE)/train
	@$(TRAIN_VENV)/bin/python -m training.shape_model.train $(SHAPE)/train --output $(SHAPE) --minutes $(MINUTES) --without $(WITHOUT)

evaluate-shape: $(READY) ## measure it on knees that it has not seen, beside a PCA; into its card: make evaluate-shape MAPS=FOLDER
	@test -n "$(MAPS)" || { echo 'Name a folder of label maps: make evaluate-shape MAPS=FOLDER' >&2; exit 1; }
	@$(BIN)/python -m training.shape_model.collection $(MAPS)/train $(SHAPE)/train
	@$(BIN)/python -m training.shape_model.collection $(MAPS)/validation $(SHAPE)/validation
	@$(BIN)/python -m training.shape_model.evaluate $(SHAPE)/train --model $(SHAPE) --knees $(WITHOUT) --output $(SHAPE)/left_out.json
	@$(BIN)/python -m training.shape_model.evaluate $(SHAPE)/validation --model $(SHAPE) --output $(SHAPE)/validation.json
	@$(BIN)/python -m training.shape_model.export $(SHAPE)

reproducibility: $(READY) ## how much thickness differs when the same knee is scanned again, in simulation
	@$(BIN)/python -m training.knee_unet.reproducibility $(MAPS) $(REPEAT)

real-scan: $(READY) ## a model's outlines on every slice of a real scan, as a picture beside its card: make real-scan SCAN=FILE
	@test -n "$(SCAN)" || { echo 'Name a scan: make real-scan SCAN=FILE' >&2; exit 1; }
	@$(BIN)/python -m training.knee_unet.real_scan $(SCAN) $(EVALUATE)

clean: ## remove environments and caches; data/ stays
	@rm -rf $(VENV) $(PEER_VENV) $(TRAIN_VENV) $(NNUNET_VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
