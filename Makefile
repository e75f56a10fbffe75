# Everything a person types here. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# A stamp per list of dependencies and what is compiled: the environment is made once, and again only when these change.
LOOPS := worker/kernels/kernels.c
LIST := $(shell { sed -n '1,/^\[tool/p' pyproject.toml; cat $(LOOPS); command -v cc; } | cksum | cut -d' ' -f1)
DEV := $(VENV)/.dev-$(LIST)
LOCAL := $(VENV)/.local-$(LIST)
GPU := $(VENV)/.gpu-$(LIST)
PIP := $(VENV)/.pip

INSTALL := $(BIN)/python deploy/install.py
TELL_LOOPS := $(BIN)/python -c 'from worker.kernels.library import library; raise SystemExit(library() is None)' 2>/dev/null || \
  echo 'No C compiler could build worker/kernels: pictures take a seventh to a quarter longer (Debian: apt install gcc libc6-dev)'
# A wheel is an archive of what it installs: to have pip install the one that comes with Python takes seconds.
UNPACK_PIP := import ensurepip, glob, sysconfig, zipfile; \
  folder = sysconfig.get_config_var("WHEEL_PKG_DIR") or ensurepip.__path__[0] + "/_bundled"; \
  zipfile.ZipFile(max(glob.glob(folder + "/pip-*.whl"))).extractall(sysconfig.get_path("purelib"))
unexport PYTHONDONTWRITEBYTECODE

WORKERS ?= 2
SEEDS ?= 10
CASES ?= 10000
MINUTES ?= 30
FILES ?= 5000
ONE ?=
IMAGES ?=
MASKS ?=

.PHONY: help
help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

## ---- use it ----------------------------------------------------------------------------------

.PHONY: demo
demo: $(LOCAL) ## Segment the sample scenes (or IMAGES=folder MASKS=folder) on a local stack; results under demo/
	$(BIN)/maskmill demo $(if $(IMAGES),--images "$(IMAGES)") $(if $(MASKS),--masks "$(MASKS)")

.PHONY: up
up: $(LOCAL) ## Run API, worker, scheduler and broker on this machine until Ctrl-C
	$(BIN)/maskmill up

.PHONY: env
env: .env ## Write .env for docker compose, with fresh random secrets (an existing .env is kept)
.env:
	$(PYTHON) deploy/make_env.py .env.example .env

## ---- work on it ------------------------------------------------------------------------------

.PHONY: setup
setup: $(DEV) ## Make .venv with everything that development needs

$(PIP):
	@command -v "$(PYTHON)" >/dev/null || { echo 'There is no Python here: install 3.11 or newer (Debian: apt install python3 python3-venv), or set PYTHON=…' >&2; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Maskmill needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'This Python cannot make environments: install its venv (Debian: apt install python3-venv), or set PYTHON=…' >&2; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv --without-pip $(VENV)
	$(BIN)/python -c '$(UNPACK_PIP)' || $(BIN)/python -m ensurepip --default-pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile uv || true
	touch $@

$(LOCAL): | $(PIP)
	$(INSTALL) '.[local]'
	@$(TELL_LOOPS)
	touch $@

$(DEV): | $(PIP)
	$(INSTALL) '.[dev]'
	@$(TELL_LOOPS)
	touch $@ $(LOCAL)

.PHONY: lint
lint: $(DEV) ## Style, formatting and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(DEV) ## Mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: $(DEV) ## mypy --strict over packages and tests
	$(BIN)/mypy

.PHONY: test
test: $(DEV) ## Everything that must be green: lint, types, tests, coverage
	$(MAKE) --no-print-directory --jobs 2 ALL=1 test-slow-training test-slow-service coverage

# Two lanes that wait for one another only before coverage is counted: what trains, in one process, and the rest. mypy has
# a core for a minute; on the other one the first tests begin, for which Python compiles what they import.
ifdef ALL
test-service: lint types
test-slow-training: test-training
test-slow-service: test-service
coverage: test-service test-slow-training
endif

# A file's tests go to one process, so that what they share is made once. One thread each: two that share two cores
# and wait for one another's threads take twice as long. More processes than processors: half of what slow tests take is
# waiting for something that was killed, frozen or full.
test-slow-service: private WORKERS := $(shell echo $$(($(WORKERS) + 1)))
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest
SHARED = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
FAST = -m "not slow and not full"

# Files that import torch or mlflow are one process's, which is as long at work as those that have the others: to import
# all of it takes ten seconds of a processor, and each process imports all files that it is given.
TORCH = ^(import|from) (torch|mlflow|training|tests\.(simulated_gpu|tiny_architectures|tiny_comparison|tiny_runs))\b
TRAINING = tests/unit/training tests/unit/benchmarks $(shell grep -rlE --include='test_*.py' '$(TORCH)' tests | \
  grep -vE '^tests/(unit/training|unit/benchmarks|browser|e2e)/')

.PHONY: test-fast
test-fast: test-training test-service ## All but the slow ones

.PHONY: test-training
test-training: $(DEV)
	rm -rf build/coverage/training
	COVERAGE_FOLDER=build/coverage/training $(PYTEST) $(FAST) $(TRAINING)

.PHONY: test-service
test-service: $(DEV)
	rm -rf build/coverage/service
	COVERAGE_FOLDER=build/coverage/service $(PYTEST) $(SHARED) $(FAST) $(addprefix --ignore=,$(TRAINING) tests/browser tests/e2e)

# In this order: a process that begins one of them last keeps the others waiting for it.
LONGEST = $(addprefix tests/,e2e/test_local_stack.py documentation/test_notebooks.py \
  faults/test_faults.py e2e/test_remote_parts.py fuzz/test_fuzz.py e2e/test_store_outage.py \
  documentation/test_snippets_run.py documentation/test_site.py integration/test_quotas.py e2e/test_demo.py)
SLOW = -m "slow and not full"
SLOW_FILES = $(shell grep -rlw slow --include='test_*.py' tests)
SLOW_TRAINING = $(shell grep -lE '$(TORCH)' $(SLOW_FILES))

.PHONY: test-slow
test-slow: ## What takes long: real training, export and browser, and the whole system in processes of its own
	$(MAKE) --no-print-directory --jobs 2 test-slow-training test-slow-service

.PHONY: test-slow-training
test-slow-training: $(DEV)
	$(PYTEST) $(SLOW) $(SLOW_TRAINING)

.PHONY: test-slow-service
test-slow-service: $(DEV)
	$(PYTEST) $(SHARED) $(SLOW) $(LONGEST) tests/e2e $(filter-out $(SLOW_TRAINING),$(SLOW_FILES))

.PHONY: browser
browser: $(DEV) ## Pages in a real browser, with axe (needs Chromium; a short form is part of `make test`)
	$(BIN)/pytest -v tests/browser

.PHONY: screenshots
screenshots: $(DEV) ## Draw the page's pictures in docs/images, the table of docs/accessibility.md and the gallery's figures anew
	DRAW_ANEW=1 $(BIN)/pytest -v tests/browser/test_screenshots.py tests/browser/test_accessibility.py tests/browser/test_gallery.py

COVERED = $(BIN)/python -m slipcover --skip-covered

.PHONY: coverage
coverage: $(DEV)
	$(COVERED) --merge build/coverage/*/centre-*.json --out build/coverage/centre.json --fail-under 99
	$(COVERED) --merge build/coverage/*/others-*.json --out build/coverage/others.json --fail-under 90

.PHONY: bench
bench: $(DEV) ## Every benchmark in a short form, in 20 minutes, to build/benchmarks; ONE=latency: one with its usual settings
	$(BIN)/python -m benchmarks $(ONE)

.PHONY: pages
pages: $(DEV) ## Write the tables of README.md and docs/models.md anew from benchmarks/results and the model cards
	$(BIN)/python -m benchmarks.pages

.PHONY: docs
docs: $(DEV) ## Build the documentation as a website in build/site; a warning or a dead link ends it
	$(BIN)/python -m docs.site

.PHONY: snippets
snippets: $(DEV) ## Type every snippet of README and docs against a real service (a short form is part of `make test`)
	$(BIN)/pytest tests/documentation
	$(BIN)/python -m tests.documentation.snippets

.PHONY: faults
faults: $(DEV) ## SEEDS=10 rounds of random faults while jobs run, on each stack; nothing may be lost or counted twice
	$(BIN)/python -m tests.faults --seeds $(SEEDS)
	$(BIN)/python -m tests.faults --seeds $(SEEDS) --full

.PHONY: faults-broken
faults-broken: $(DEV) ## Break claiming, finishing and dispatching on purpose: `make faults` has to see each within 20 seeds
	for each in claim finish dispatch; do $(BIN)/python -m tests.faults --short --seeds 20 --broken $$each; done

.PHONY: upgrade
upgrade: $(DEV) ## FROM=commit: a job is worked while the database is migrated from that commit's code to ours
	$(BIN)/python -m tests.upgrade --from $(FROM)

.PHONY: fuzz
fuzz: $(DEV) ## CASES=10000 requests made from the OpenAPI document, FILES=5000 hostile files and requests, to a real stack
	$(BIN)/python -m tests.fuzz --cases $(CASES) --files $(FILES)

.PHONY: attacks
attacks: $(DEV) ## Slow sockets, costly pictures, endless heads, silent connections: what a bystander's picture takes meanwhile
	$(BIN)/python -m tests.attacks

.PHONY: soak
soak: $(DEV) ## MINUTES=30 of ordinary work: what memory, files, connections and the queue do meanwhile, as build/soak.svg
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

.PHONY: audit
audit: $(DEV) ## Known vulnerabilities of the installed packages (asks osv.dev; says so where it cannot)
	bash .ci/audit

# ONNX Runtime for CPUs and for GPUs are two packages with the same files: taking one away breaks the other, so both go.
$(GPU): $(DEV)
	@compgen -G '/dev/nvidia[0-9]*' >/dev/null || { echo 'There is no NVIDIA GPU here, or no driver for it.' >&2; exit 2; }
	$(BIN)/python -m pip uninstall --quiet --yes onnxruntime onnxruntime-gpu
	$(INSTALL) '.[worker-gpu]'
	touch $@

.PHONY: gpu
gpu: $(GPU) ## On a machine with a GPU: are masks those of the processor, how fast, in how much memory
	$(BIN)/python -m benchmarks.engines.gpu

.PHONY: containers
containers: ## Build the images, bring the compose file up, run a job through it (needs docker; see tests/containers)
	bash tests/containers/run.sh

.PHONY: sbom
sbom: ## What each built image holds, as a CycloneDX document in build/ (needs docker)
	mkdir -p build
	for image in api worker worker-gpu trainer flower mlflow dashboard; do \
	  docker image inspect maskmill-$$image >/dev/null 2>&1 || continue; \
	  docker run --rm -i --network none maskmill-$$image python - < deploy/sbom.py > build/sbom-$$image.json; \
	  echo build/sbom-$$image.json; \
	done

.PHONY: clean
clean: ## Remove what was made here, the environment and local state included
	rm -rf $(VENV) .maskmill demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
