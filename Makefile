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
GPU_VENV := .venv-gpu
MUTATE_VENV := .venv-mutate
# A label map in pymskt's numbering, such as the one in its tests.
PEER_LABELS ?= $(wildcard ../shared/data/right-knee-label.nrrd)
# Tests start many Python processes; without compiled files, each would compile our modules again.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest
BENCH ?=
# Expert label maps: FOLDER/train and FOLDER/validation, or all in FOLDER. TRAIN, EVALUATE, REPEAT: additional options.
MAPS ?=
MINUTES ?= 5
TRAIN ?=
EVALUATE ?=
REPEAT ?=
SCAN ?=
FOLDER ?=

.PHONY: help setup run test test-fast docs check format bench bench-service bench-pages bench-peer bench-nnunet mutate screenshots sample train train-edges adapt gpu-check evaluate evaluate-conditions evaluate-flags check-scans shape-model evaluate-shape reproducibility real-scan clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## create only the environment (.venv)

# Updated only if a requirement has changed.
$(READY): pyproject.toml requirements.txt requirements-dev.txt requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found. Specify one: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null || { \
		echo "Creating $(VENV) with $$($(PYTHON) --version) ..."; rm -rf $(VENV); \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
			echo "$(PYTHON) cannot create a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; }
	@echo "Installing the pinned packages (about 1.7 GB; two minutes on a fast connection) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt -r requirements-dev.txt -c requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --editable .
	@touch $(READY)

run: $(READY) ## the product: queue, worker, REST interface, pages; stops with Ctrl-C
	@exec $(BIN)/python serve.py

# Test files run in parallel, each in one process: tests spend a third of their time waiting. AT_ONCE=0: sequentially.
AT_ONCE ?= 4
SIDE_BY_SIDE = -n $(AT_ONCE) --dist loadfile --no-loadscope-reorder

test: $(READY) ## run all tests
	@$(PYTEST) $(SIDE_BY_SIDE)

# The fast tests compute all the time, the others wait for processes and pages.
test-fast: AT_ONCE = 2
test-fast: $(READY) ## run the fast tests
	@$(PYTEST) $(SIDE_BY_SIDE) -m "not slow"

# Warnings are errors. Nothing is fetched: the site is built and read without a network.
docs: $(READY) ## the documentation site, into build/docs
	@$(BIN)/python -m sphinx -q -W --keep-going -n -j 2 -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

# JavaScript is checked where node is. package-lock.json pins the tools; nothing of node is needed to run the product.
NODE_READY := node_modules/.ready

$(NODE_READY): package.json package-lock.json
	@npm ci --silent --no-audit --no-fund
	@touch $@

.PHONY: check-javascript
check-javascript: ## types and lint of ui/assets, if node is installed
	@if command -v npm >/dev/null 2>&1; then \
		$(MAKE) --no-print-directory $(NODE_READY) && npm run --silent check; \
	else echo "JavaScript was not checked: npm is not installed (node 20 or newer)."; fi

check: $(READY) check-javascript ## lint, format, types, import rules, module sizes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(PYTEST) tests/repository/test_architecture.py

format: $(READY) ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## measure what README's table says
	@$(BIN)/python -m bench.run $(BENCH)

bench-service: $(READY) ## measure the service: kills, many clients, malicious uploads
	@$(BIN)/python -m bench.service $(BENCH)

bench-pages: $(READY) ## measure the pages in a real browser
	@$(BIN)/python -m bench.pages $(BENCH)

# The peer's package has a separate environment, because it needs older versions than ours.
bench-peer: $(READY) ## compare with the most similar package, in .venv-peer
	@test -n "$(PEER_LABELS)" || { echo 'Specify a label map in pymskt numbering: make bench-peer PEER_LABELS=FILE' >&2; exit 1; }
	@$(BIN)/python -m bench.peer --environment $(PEER_VENV) --labels $(PEER_LABELS)

# nnU-Net and torch have a separate environment, as in training.
bench-nnunet: $(READY) ## compare with nnU-Net's own predictor, in .venv-nnunet: make bench-nnunet MAPS=HELD_OUT_MAP
	@test -n "$(MAPS)" || { echo 'Specify an expert label map of a held-out knee: make bench-nnunet MAPS=FILE' >&2; exit 1; }
	@$(BIN)/python -m bench.nnunet --environment $(NNUNET_VENV) --map $(MAPS)

# Cosmic Ray has a separate environment, which finds all other packages in .venv. N mutants, or every one with
# MUTATE=--all; some parts only with MUTATE="--only guard store". A stopped run is continued.
SEED ?= 1
N ?= 300
JOBS ?= 1
MUTATE ?=

$(MUTATE_VENV)/.ready: requirements-mutate.txt $(READY)
	@test -x $(MUTATE_VENV)/bin/python || $(BIN)/python -m venv $(MUTATE_VENV)
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(MUTATE_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/product.pth"
	@$(MUTATE_VENV)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -r requirements-mutate.txt
	@touch $@

mutate: $(MUTATE_VENV)/.ready ## how many small changes of the product its tests notice, in .venv-mutate (an hour)
	@nice -n 19 $(MUTATE_VENV)/bin/python -m bench.mutation --seed $(SEED) --number $(N) --jobs $(JOBS) $(MUTATE)

.PHONY: licences
licences: $(READY) ## the licence of every package that the product needs; fails for an unexpected GPL
	@$(BIN)/python -m bench.licences

screenshots: $(READY) ## a picture of every page in every state, into build/screenshots (needs Chromium)
	@$(BIN)/python -m bench.pages.screenshots $(BENCH)

sample: $(READY) ## regenerate the sample knee
	@$(BIN)/python -m training.sample

# torch is needed for training only, so it has a separate environment. On Linux, PyPI's wheel includes CUDA (3 GB);
# without CUDA: make train PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
$(TRAIN_VENV)/.ready: requirements-train.txt requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found." >&2; exit 1; }
	@test -x $(TRAIN_VENV)/bin/python || { echo "Creating $(TRAIN_VENV) ..."; $(PYTHON) -m venv $(TRAIN_VENV); }
	@$(TRAIN_VENV)/bin/python -m pip install --disable-pip-version-check --quiet -r requirements-train.txt -c requirements.lock
	@touch $@

train: $(TRAIN_VENV)/.ready ## train the network, in .venv-train: make train MAPS=FOLDER MINUTES=60
	@$(TRAIN_VENV)/bin/python -m training.knee_unet.train $(MAPS) --minutes $(MINUTES) $(TRAIN)

# A lab's labelled scans, as for make validate. The model is installed in MODELS_DIR under ID.
ID ?=
ADAPT ?=

adapt: $(TRAIN_VENV)/.ready ## adapt the network to a lab's scans, in .venv-train: make adapt SCANS=FOLDER LABELS=FOLDER ID=my_lab MODELS_DIR=FOLDER
	@test -n "$(SCANS)" -a -n "$(LABELS)" -a -n "$(ID)" -a -n "$(MODELS_DIR)" || { \
		echo 'Specify folders and a name: make adapt SCANS=FOLDER LABELS=FOLDER ID=my_lab MODELS_DIR=FOLDER' >&2; exit 1; }
	@mkdir -p "$(MODELS_DIR)"
	@$(TRAIN_VENV)/bin/python -m training.adapt "$(SCANS)" "$(LABELS)" --id $(ID) --models-dir "$(MODELS_DIR)" --minutes $(MINUTES) $(ADAPT)

# onnxruntime-gpu replaces onnxruntime, so it has a separate environment. Without an NVIDIA card: exit status 3.
gpu-check: $(READY) ## compare processor and NVIDIA card: labels, seconds, training, in .venv-gpu: make gpu-check MAPS=HELD_OUT_MAP
	@$(BIN)/python -m bench.gpu_check --environment $(GPU_VENV) $(if $(MAPS),--map $(MAPS))

# The networks are trained on profiles of synthetic joints, which are collected first, for MINUTES.
train-edges: $(TRAIN_VENV)/.ready ## train the edge networks, in .venv-train: make train-edges MAPS=FOLDER MINUTES=30
	@test -n "$(MAPS)" || { echo 'Specify a folder of label maps: make train-edges MAPS=FOLDER' >&2; exit 1; }
	@$(TRAIN_VENV)/bin/python -m training.edges.train $(MAPS) --collect $(MINUTES) $(TRAIN)

# EVALUATE=--training-renderer measures on scans of the held-out knees from the training renderer (rendered_scan.py).
evaluate: $(READY) ## measure the network on held-out maps, write the figures to its card: make evaluate MAPS=FOLDER
	@test -n "$(MAPS)" || { echo 'Specify a folder of held-out label maps: make evaluate MAPS=FOLDER' >&2; exit 1; }
	@$(BIN)/python -m training.knee_unet.evaluate $(MAPS) --card $(EVALUATE)

# All conditions of training/evaluation/conditions.py on every map; it resumes. A few knees in minutes:
# CONDITIONS="--knees 3 --only t1 menisci_t1". Other first-pass weights: CONDITIONS="--weights FILE".
CONDITIONS ?= --processes 2

evaluate-conditions: $(READY) ## measure the network on held-out maps in the conditions of real scans: make evaluate-conditions MAPS=FOLDER
	@test -n "$(MAPS)" || { echo 'Specify a folder of held-out label maps: make evaluate-conditions MAPS=FOLDER' >&2; exit 1; }
	@mkdir -p build
	@$(BIN)/python -m training.evaluation $(MAPS) --json build/conditions.json $(CONDITIONS)

# The same scans and results as evaluate-conditions. CONDITIONS="--processes 2 --card" writes the confidence flag to the card.
evaluate-flags: $(READY) ## what each flag catches and what it costs, in the same conditions: make evaluate-flags MAPS=FOLDER
	@test -n "$(MAPS)" || { echo 'Specify a folder of held-out label maps: make evaluate-flags MAPS=FOLDER' >&2; exit 1; }
	@$(BIN)/python -m training.evaluation $(MAPS) --flags $(CONDITIONS)

# Knees of MAPS/train held out of the training of the shape model; it is measured on these and on MAPS/validation.
WITHOUT ?= $(shell ls $(MAPS)/train 2>/dev/null | sed 's/_.*//' | sort -u | tail -n 3)
SHAPE := data/shape_model

shape-model: $(TRAIN_VENV)/.ready ## train the shape model, in .venv-train: make shape-model MAPS=FOLDER MINUTES=15
	@test -n "$(MAPS)" || { echo 'Specify a folder of label maps: make shape-model MAPS=FOLDER' >&2; exit 1; }
	@$(TRAIN_VENV)/bin/python -m training.shape_model.collection $(MAPS)/train $(SHAPE)/train
	@$(TRAIN_VENV)/bin/python -m training.shape_model.train $(SHAPE)/train --output $(SHAPE) --minutes $(MINUTES) --without $(WITHOUT)

evaluate-shape: $(READY) ## measure it on held-out knees and compare with a PCA; write to its card: make evaluate-shape MAPS=FOLDER
	@test -n "$(MAPS)" || { echo 'Specify a folder of label maps: make evaluate-shape MAPS=FOLDER' >&2; exit 1; }
	@$(BIN)/python -m training.shape_model.collection $(MAPS)/train $(SHAPE)/train
	@$(BIN)/python -m training.shape_model.collection $(MAPS)/validation $(SHAPE)/validation
	@$(BIN)/python -m training.shape_model.evaluate $(SHAPE)/train --model $(SHAPE) --knees $(WITHOUT) --output $(SHAPE)/left_out.json
	@$(BIN)/python -m training.shape_model.evaluate $(SHAPE)/validation --model $(SHAPE) --output $(SHAPE)/validation.json
	@$(BIN)/python -m training.shape_model.export $(SHAPE)

reproducibility: $(READY) ## simulate the scan-rescan repeatability of thickness
	@$(BIN)/python -m training.knee_unet.reproducibility $(MAPS) $(REPEAT)

# VALIDATE: additional options, such as VALIDATE="--model nnunet_cascade --set our_knees". A stopped run is continued.
SCANS ?=
LABELS ?=
MODELS_DIR ?=
VALIDATE ?=

.PHONY: validate
validate: $(READY) ## measure a model on scans with expert label maps: make validate SCANS=FOLDER LABELS=FOLDER [MODELS_DIR=FOLDER]
	@test -n "$(SCANS)" -a -n "$(LABELS)" || { echo 'Specify two folders: make validate SCANS=FOLDER LABELS=FOLDER' >&2; exit 1; }
	@$(BIN)/python -m pipeline.validation "$(SCANS)" "$(LABELS)" --output data/validation \
		$(if $(MODELS_DIR),--models-dir "$(MODELS_DIR)") $(VALIDATE)

# OUT: folder of the results; it must not hold anything else. CHECK="--processes 2 --against nnunet_cascade" for more.
OUT ?= build/check-scans
CHECK ?=

check-scans: $(READY) ## rank a lab's scans without labels by what looks wrong: make check-scans FOLDER=SCANS
	@test -n "$(FOLDER)" || { echo 'Specify a folder of scans: make check-scans FOLDER=SCANS' >&2; exit 1; }
	@$(BIN)/python -m pipeline check-scans "$(FOLDER)" "$(OUT)" $(CHECK)

real-scan: $(READY) ## picture of a model's outlines on every slice of a real scan: make real-scan SCAN=FILE
	@test -n "$(SCAN)" || { echo 'Specify a scan: make real-scan SCAN=FILE' >&2; exit 1; }
	@$(BIN)/python -m training.knee_unet.real_scan $(SCAN) $(EVALUATE)

clean: ## remove environments and caches, but not data/
	@rm -rf $(VENV) $(PEER_VENV) $(TRAIN_VENV) $(NNUNET_VENV) $(GPU_VENV) $(MUTATE_VENV) node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache kneebox.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
