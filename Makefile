# The front door: every target is one command, with the variables of its stage. `make` lists them.
# Variables come from the command line or the environment: make run MINUTES=2 RUN=runs/quick

PYTHON ?= python3
RECIPE ?= mix
EXERCISES_MB ?= 8
DATA ?=
CORPUS ?= data/shards/$(basename $(notdir $(RECIPE)))
LIBRARY ?= data/shards/stdlib
PRESET ?= tiny
RUN ?= runs/$(PRESET)
MINUTES ?= 6.6
TRAIN ?=
CHECKPOINT ?= $(RUN)
SUITE ?= humaneval
SAMPLES ?= $(RUN)/results/$(SUITE).jsonl
COMPLETE ?=
DRAFTS ?= $(RUN)-drafts
DRAFT_PROMPTS ?= 1000
DRAFT_TEXT ?=
BENCH_CHECKPOINT ?= weights/plain-5m
BENCH_OUT ?= results/bench.json
BENCH ?=
SWEEP ?= runs/sweep
SWEEP_HEADS ?= 1 4 8 16
SWEEP_BYTES ?= 6000000
SWEEP_OUT ?= $(SWEEP)/sweep.json
TABLE1 ?= runs/table1
TABLE1_HEADS ?= 1 2 4 8
TABLE1_SEEDS ?= 0 1 2
TABLE1_BYTES ?= 2500000
TABLE1_SUITE ?= exercises
TABLE1_TRAIN ?= --model.hidden 557
TABLE1_COMPLETE ?= --samples 20 --temperatures 0.2 0.6
PROMPT ?=
GENERATE ?= --max-bytes 400
EVAL_SUITES ?= exercises humaneval micro
SPEED ?= --rounds 1 --prompts 32
PYTEST ?= -n 2 --dist worksteal --durations=25 --durations-min=1 -rs

# Make splits names at white space, so that `runs/my run` would be two targets. PRESET, RECIPE and SUITE are
# parts of paths.
PATHS := PRESET RECIPE SUITE PROMPT RUN CORPUS LIBRARY CHECKPOINT SAMPLES DRAFTS BENCH_CHECKPOINT BENCH_OUT SWEEP SWEEP_OUT TABLE1 TABLE1_SUITE EVAL
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)
TAB := $(EMPTY)	$(EMPTY)
split = $(or $(word 2,$(1)),$(findstring $(SPACE),$(1)),$(findstring $(TAB),$(1)))
$(foreach name,$(PATHS),$(if $(call split,$($(name))),\
	$(error $(name)=$($(name)) holds white space, which make cannot handle: choose a path without)))

PY := .venv/bin/python
# Where CHECKPOINT is given, these targets take it, else the model that comes with the clone.
GIVEN := $(if $(filter file,$(origin CHECKPOINT)),,--checkpoint $(CHECKPOINT))
EVAL ?= runs/eval/$(if $(GIVEN),$(notdir $(CHECKPOINT:/=)),small)
STAMP := .venv/.installed
RESULTS := $(RUN)/results
SUITES := exercises humaneval micro
SCORES := $(SUITES:%=$(RESULTS)/%.json) $(SUITES:%=$(RESULTS)/solutions-%.json)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Results are kept: they are made again only when the checkpoint is newer.
.SECONDARY:

help: ## Explain the targets
	@echo "bytelm: byte-level code models with several prediction heads."
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | column -t -s @ 2>/dev/null \
		|| sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1: \2/p' Makefile
	@echo
	@echo "Variables: PRESET=$(PRESET) RUN=$(RUN) CORPUS=$(CORPUS) MINUTES=$(MINUTES) SUITE=$(SUITE)"
	@echo "Start with: make run"

setup: $(STAMP) ## Make .venv and install everything; does nothing if that is done

# Installed again only when what is to be installed changes.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "error: $$($(PYTHON) -V) will not do: Python 3.11 to 3.13 is needed;" \
		"say which with make PYTHON=python3.12" >&2; exit 2; }
	@test -x $(PY) || $(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "error: $(PYTHON) cannot make virtual environments (Debian: apt install python3-venv)" \
		>&2; exit 2; }
	@echo "Installing into .venv (some minutes the first time; torch is large) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@# Without a compiler, the commands that need it say so.
	@$(PY) -c 'from bytelm.decode.native.library import decode_library; decode_library(); \
		from bytelm.training.native.library import attention_library; attention_library()' 2>/dev/null || true
	@touch $@

run: data train $(RESULTS)/timings.json $(RESULTS)/bits.json $(RESULTS)/speed.json $(SCORES) ## Do everything: data, training, completions, scores, report
	@$(PY) -m eval report --run $(RUN)

suite: setup ## Make the suite of exercises again
	$(PY) -m data suite --benchmark eval/suites/micro.jsonl --out eval/suites/exercises.jsonl

# The text that the model is measured on is the standard library's: what a recipe holds out differs.
data: setup $(CORPUS)/manifest.json $(LIBRARY)/manifest.json ## Build byte shards of RECIPE (mix, stdlib, exercises, packages, or a file) into CORPUS

$(CORPUS)/manifest.json: | $(STAMP)
	@mkdir -p $(dir $(CORPUS))
	@# The last line of stdout holds the figures; the report wants to know how long this took.
	$(PY) -m data build --recipe $(RECIPE) $(if $(filter mix exercises,$(RECIPE)),--megabytes $(EXERCISES_MB)) \
		--benchmark eval/suites/micro.jsonl --out $(CORPUS) $(DATA) > $(CORPUS).json

ifneq ($(CORPUS),$(LIBRARY))
$(LIBRARY)/manifest.json: | $(STAMP)
	@mkdir -p $(dir $(LIBRARY))
	$(PY) -m data build --recipe stdlib --out $(LIBRARY) > $(LIBRARY).json
endif

train: data ## Train PRESET on CORPUS for MINUTES into RUN; resume a run that was stopped
	$(PY) -m bytelm train --preset $(PRESET) --data $(CORPUS) --run $(RUN) --minutes $(MINUTES) --resume $(TRAIN)

# summary.json is written when a training run ends: what depends on it is of that checkpoint.
$(RUN)/summary.json: | train ;

# The model writes, plainly and by chance, and its drafting heads learn from that; the rest of it stays
# as it is, and so does the text that it writes.
drafts: data ## Train the drafting heads of CHECKPOINT (a PRESET) on its own text for MINUTES into DRAFTS
	$(PY) -m data prompts --data $(CORPUS) --split train --count $(DRAFT_PROMPTS) --bytes 512 --out $(DRAFTS)/prompts.jsonl
	$(PY) -m bytelm generate --checkpoint $(CHECKPOINT) --prompts $(DRAFTS)/prompts.jsonl --with-prompt --batch 32 \
		--dtype bfloat16 --out $(DRAFTS)/text/greedy.jsonl $(DRAFT_TEXT)
	$(PY) -m bytelm generate --checkpoint $(CHECKPOINT) --prompts $(DRAFTS)/prompts.jsonl --with-prompt --batch 32 \
		--dtype bfloat16 --temperature 0.8 --top-p 0.95 --out $(DRAFTS)/text/sampled.jsonl $(DRAFT_TEXT)
	$(PY) -m data build --dataset $(DRAFTS)/text --column text --no-filters --out $(DRAFTS)/shards
	$(PY) -m bytelm train --preset $(PRESET) --init $(CHECKPOINT) --drafts-only --data $(DRAFTS)/shards \
		--run $(DRAFTS) --minutes $(MINUTES) --resume $(TRAIN)

generate: setup ## Complete the file PROMPT with CHECKPOINT, or with weights/small if none is named
	@test -n "$(PROMPT)" || { echo "error: which file is to be completed? make generate PROMPT=file.py" >&2; exit 2; }
	@$(PY) -m bytelm generate $(GIVEN) --prompt-file $(PROMPT) $(GENERATE)

# Each suite goes on where it was stopped. Other suites: make eval EVAL_SUITES=mbpp, as docs/evaluation.md names them.
eval: setup ## Complete and grade EVAL_SUITES with CHECKPOINT, or with weights/small if none is named, into EVAL
	@for suite in $(EVAL_SUITES); do to=$(EVAL)/$$suite; \
		$(PY) -m eval complete --suite $$suite $(GIVEN) --out $$to.jsonl $(COMPLETE) && \
		$(PY) -m eval grade --suite $$suite --samples $$to.jsonl --out $$to.json && \
		$(PY) -m eval bits --suite $$suite $(GIVEN) --out $(EVAL)/solutions-$$suite.json || exit; done >/dev/null

complete: setup ## Complete the prompts of SUITE with CHECKPOINT into SAMPLES
	$(PY) -m eval complete --suite $(SUITE) --checkpoint $(CHECKPOINT) --out $(SAMPLES) $(COMPLETE)

grade: setup ## Grade the SAMPLES of SUITE
	$(PY) -m eval grade --suite $(SUITE) --samples $(SAMPLES) --out $(SAMPLES:.jsonl=.json)

$(RESULTS)/timings.json: $(RUN)/summary.json
	@mkdir -p $(RESULTS)
	@sed -n 's/.*"seconds": \([0-9.]*\).*/{"data": \1}/p' $(CORPUS).json > $@ 2>/dev/null || echo '{}' > $@

$(RESULTS)/%.jsonl: $(RUN)/summary.json
	$(PY) -m eval complete --suite $* --checkpoint $(RUN) --out $@ $(COMPLETE)

$(RESULTS)/%.json: $(RESULTS)/%.jsonl
	$(PY) -m eval grade --suite $* --samples $< --out $@

$(RESULTS)/solutions-%.json: $(RUN)/summary.json
	$(PY) -m eval bits --suite $* --checkpoint $(RUN) --out $@

$(RESULTS)/bits.json: $(RUN)/summary.json
	$(PY) -m eval bits $(LIBRARY) --checkpoint $(RUN) --out $@

$(RESULTS)/speed.json: $(RUN)/summary.json
	$(PY) -m eval speed --checkpoint $(RUN) --data $(LIBRARY) --out $@ $(SPEED)

report: setup ## Make report.html and report.json of RUN
	$(PY) -m eval report --run $(RUN)

readme: setup ## Make the tables of README.md and docs from results/
	$(PY) -m eval readme

sweep: data ## Train PRESET with each of SWEEP_HEADS on SWEEP_BYTES at equal parameters into SWEEP; compare
	@for n in $(SWEEP_HEADS); do $(PY) -m bytelm train --preset $(PRESET) --data $(CORPUS) --run $(SWEEP)/n$$n \
		--bytes $(SWEEP_BYTES) --model.prediction-heads $$n --equal-parameters --resume $(TRAIN) || exit; done
	$(PY) -m eval sweep --runs $(SWEEP_HEADS:%=$(SWEEP)/n%) --data $(CORPUS) --out $(SWEEP_OUT)

# The paper's Table 1. All runs have the parameters of PRESET with one head, and so with a hidden layer of 557
# those of tiny with eight. Each run goes on where it was stopped; what is done is not done again.
table1: data ## Train PRESET with each of TABLE1_HEADS and TABLE1_SEEDS at equal parameters into TABLE1; compare pass@k
	@for n in $(TABLE1_HEADS); do for seed in $(TABLE1_SEEDS); do run=$(TABLE1)/n$$n-seed$$seed; \
		$(PY) -m bytelm train --preset $(PRESET) --data $(CORPUS) --run $$run --bytes $(TABLE1_BYTES) \
			--model.prediction-heads $$n --train.seed $$seed --equal-parameters --resume $(TABLE1_TRAIN) $(TRAIN) && \
		$(PY) -m eval complete --suite $(TABLE1_SUITE) --checkpoint $$run --out $$run/samples.jsonl $(TABLE1_COMPLETE) && \
		$(PY) -m eval grade --suite $(TABLE1_SUITE) --samples $$run/samples.jsonl --out $$run/grade.json \
		|| exit; done; done
	$(PY) -m eval table1 --suite $(TABLE1_SUITE) --out $(TABLE1)/table1.json \
		--results $(foreach n,$(TABLE1_HEADS),$(TABLE1_SEEDS:%=$(TABLE1)/n$(n)-seed%/samples.jsonl_results.jsonl)) \
		--labels $(foreach n,$(TABLE1_HEADS),$(TABLE1_SEEDS:%=n=$(n)))

# The other engines: the extra `peers`.
INSTALL_PEERS := $(PY) -c 'import gguf, transformers, xllamacpp' 2>/dev/null || $(PY) -m pip install --quiet \
	--disable-pip-version-check -c constraints.txt -e '.[peers]'

bench: data ## Measure decoding of BENCH_CHECKPOINT, and other engines, into BENCH_OUT
	@$(INSTALL_PEERS) || echo "the other engines cannot be installed: they are left out" >&2
	$(PY) -m eval bench --checkpoint $(BENCH_CHECKPOINT) --data $(LIBRARY) --out $(BENCH_OUT) $(BENCH)

test: setup ## Run all tests but the slowest
	$(PY) -m pytest $(PYTEST) -m "not slow"

test-slow: setup ## Run the slowest tests: compilers, failing ranks, the commands of all pages
	$(PY) -m pytest $(PYTEST) -m slow

# Asked for by their marker alone, these tests fail and are not skipped where a package is missing.
test-peers: setup ## Install the other engines, and run the tests that need them
	@$(INSTALL_PEERS)
	$(PY) -m pytest $(PYTEST) -m peers

lint: setup ## Check format, lint and types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

check: lint ## Check format, lint and types, and run the fast tests
	$(PY) -m pytest $(PYTEST) -m "not slow and not medium"

# The seeded faults first: they must be found. Races need several threads. -s: a fault is printed, not captured.
NATIVE_TESTS := tests/bytelm/decode/native tests/bytelm/training/native
SANITIZED := -n 0 -s -p no:cacheprovider -m "not slow"

sanitize: setup ## Run the C++ under ASan + UBSan, then under TSan
	$(PY) -m pytest -n 0 tests/bytelm/native/test_sanitize.py
	$(PY) -m bytelm.native.sanitize address pytest $(SANITIZED) $(NATIVE_TESTS)
	$(PY) -m bytelm.native.sanitize thread pytest $(SANITIZED) -k "threads" $(NATIVE_TESTS)

format: setup ## Format the code and fix what lint can fix
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean: ## Remove runs, shards and caches; keep .venv
	rm -rf runs data/shards .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help setup run data train drafts generate eval complete grade report sweep table1 bench test test-slow test-peers lint check format clean readme sanitize suite
