# Everything a newcomer needs. `make` alone lists it.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
SAMPLES ?= samples/images
DATA ?= ../shared/data
WEIGHTS ?= $(DATA)/weights/mobilenet_v2_imagenet.safetensors
PORT ?= 8000
EXAMPLES ?= 200
FUZZ_SECONDS ?= 300
STARTER ?= registry/starter
TRAIN_OPTIONS ?= --strategy finetune --epochs 7 --epoch-images 4096 --label-smoothing 0.02 --plateau-patience 0
RECIPE = $(PENPRESS) cross-validate build/data/lines --folds 3 --weights $(WEIGHTS) --strategy finetune --height 128 --width 512 \
	--crop-width 128 --epochs 2 --epoch-images 3072 --label-smoothing 0.02 --plateau-patience 0
VENV := .venv
BIN := $(VENV)/bin
PENPRESS := $(BIN)/penpress

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.serve ## Start everything, classify the samples (or SAMPLES=path), show the results; it keeps running
	@$(PENPRESS) up --detach --port $(PORT)
	@$(PENPRESS) classify "$(SAMPLES)" --format table
	@$(PENPRESS) up --detach
	@echo "It keeps running: open that address in a browser; make stop ends it."

.PHONY: up
up: $(VENV)/.serve ## Start everything in the foreground; Ctrl-C stops it
	@$(PENPRESS) up --port $(PORT)

.PHONY: stop
stop: $(VENV)/.serve ## Stop what `make demo` left running
	@$(PENPRESS) down || [ $$? -eq 1 ] # 1: nothing was running

.PHONY: test
test: check ## Run all checks and tests
	$(BIN)/python -m pytest

.PHONY: check
check: $(VENV)/.dev ## Run the checks alone: format, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: bench
bench: $(VENV)/.dev ## Measure the batch path and /predict/ against a plain loop (DATA=folder of images)
	$(BIN)/python -m benchmarks.throughput --data $(DATA)

.PHONY: chaos
chaos: $(VENV)/.dev | build ## Strike the service 300 times while it works on 50,000 items: nothing may be lost, doubled or wrong
	@status=0; to="--results tests/chaos/results"; rm -f tests/chaos/results/*.json; \
	$(BIN)/python -m tests.chaos --killers $$to || status=1; \
	$(BIN)/python -m tests.chaos --default-leases $$to > build/chaos-default-leases.log & beside=$$!; \
	$(BIN)/python -m tests.chaos $$to $(CHAOS_OPTIONS) || status=1; \
	wait $$beside || status=1; cat build/chaos-default-leases.log; \
	$(BIN)/python -m tests.chaos --controls $$to || status=1; \
	$(BIN)/python -m tests.chaos.report && exit $$status

build:
	@mkdir -p $@

.PHONY: schemathesis
schemathesis: $(VENV)/.dev ## Look for answers that the OpenAPI document does not allow (EXAMPLES=number for each endpoint)
	SCHEMATHESIS_EXAMPLES=$(EXAMPLES) SCHEMATHESIS_SEED=$$(date +%s) $(BIN)/python -m pytest tests/api/test_schemathesis.py

.PHONY: fuzz
fuzz: $(VENV)/.dev ## Feed damaged zips and images to the code that reads them, for FUZZ_SECONDS
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

.PHONY: train
train: build/data/lines build/data/typewritten ## Train the model that ships anew, from DATA, into build/training
	$(PENPRESS) train build/data/lines --typewritten build/data/typewritten --weights $(WEIGHTS) --name starter --out build/training \
		--golden samples/images/printed-03-im-fell-english.jpg --tracking-uri sqlite:///build/mlflow.db $(TRAIN_OPTIONS)

build/data/lines: | $(VENV)/.dev
	$(PENPRESS) data import folder $(DATA)/lines --out $@

build/data/typewritten: | $(VENV)/.dev
	$(BIN)/python samples/make_lines.py build/drawn
	$(PENPRESS) data import folder build/drawn --out $@ --source "drawn by samples/make_lines.py" --licence CC0-1.0

.PHONY: recipes
recipes: build/data/lines ## Compare augmentation and sampling on sources left out; the card shows it
	$(RECIPE) --augmentation 1.0 --json $(STARTER)/results/recipes/full.json --out build/cv/full
	$(RECIPE) --augmentation 0.5 --json $(STARTER)/results/recipes/half.json --out build/cv/half
	$(RECIPE) --augmentation 0.25 --json $(STARTER)/results/recipes/quarter.json --out build/cv/quarter
	$(RECIPE) --augmentation 0.0 --json $(STARTER)/results/recipes/unvaried.json --out build/cv/unvaried
	$(RECIPE) --augmentation 0.5 --no-balanced --json $(STARTER)/results/recipes/half-unbalanced.json --out build/cv/half-unbalanced

.PHONY: card
card: $(VENV)/.dev ## Measure the model that ships on DATA, and render its card
	$(BIN)/python -m benchmarks.robustness $(STARTER) --data $(DATA) --json $(STARTER)/results/robustness.json
	$(BIN)/python -m benchmarks.odd_inputs $(STARTER) --data $(DATA) --json $(STARTER)/results/odd_inputs.json
	$(BIN)/python -m training card $(STARTER)

.PHONY: lock
lock: $(VENV)/.uv ## Resolve the pinned requirements anew
	$(COMPILE) -o requirements/serve.txt
	$(COMPILE) -c requirements/serve.txt --extra gpu --no-emit-package onnxruntime -o requirements/gpu.txt
	$(COMPILE) -c requirements/serve.txt --extra training -o requirements/training.txt
	$(COMPILE) -c requirements/training.txt --extra training --group dev -o requirements/dev.txt

.PHONY: clean
clean: ## Remove the environment and caches; data in ~/.penpress stays
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

UV := $(BIN)/uv
COMPILE = $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet

$(VENV)/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit( \
		"Penpress needs Python 3.11 to 3.13; name one, as in: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
	@touch $@

# The service alone; without torch.
$(VENV)/.serve: $(VENV)/.uv requirements/serve.txt pyproject.toml
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements/serve.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.serve requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements/dev.txt
	@touch $@
