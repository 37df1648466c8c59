# make run    the control center on the bundled model      make test   the whole suite
# make check  format, lint, types and tests, as in CI      make bench  figures beside their peers
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CLAUDE_VERSION := 2.1.332
AGENT_SDK_VERSION := 0.3.332
CLAUDE := .claude-code/node_modules/.bin/claude

.PHONY: help install settings run test check format lint types bench claude-day agent-sdk models-report mac-report claude-code openblas snapshots demo morning eval-bundled train-bundled clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.path.insert(0, ""); from engine.process.install_check import refusal_here; sys.exit(refusal_here() or None)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-binary claude-agent-sdk -e '.[dev]'
	@touch $@

install: $(STAMP) ## the environment in .venv

run: $(STAMP) ## start the control center on the bundled model (ARGS="--no-ui" and so on)
	@$(BIN)/anyclaude-tui $(ARGS)

test: $(STAMP) claude-code openblas ## the whole suite (ARGS="-k name" picks)
	$(BIN)/python -m pytest $(ARGS)

check: format lint types test ## format, lint, types and tests

format: $(STAMP) ## is everything formatted? (FIX=1 formats)
	$(BIN)/ruff format $(if $(FIX),,--check) .

lint: $(STAMP) ## ruff (FIX=1 mends what can be mended)
	$(BIN)/ruff check $(if $(FIX),--fix,) .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

bench: $(STAMP) ## measure: JSON lines, each figure beside a peer or a floor
	$(BIN)/python -m bench $(ARGS)

claude-day: $(STAMP) claude-code ## play every scenario in the real Claude Code (CLAUDE=path, ARGS="--only NAME,…"; docs/compatibility.md)
	@ANYCLAUDE_CLAUDE="$(abspath $(CLAUDE))" $(BIN)/python -m bench.claude_day $(ARGS)

agent-sdk: $(STAMP) claude-code ## programs that run the real Claude Code by its SDKs, on a host (ARGS="--list" names the cases)
	@if command -v npm >/dev/null; then npm install --prefix .claude-code/agent-sdk --omit=optional --no-audit --no-fund --loglevel=error @anthropic-ai/claude-agent-sdk@$(AGENT_SDK_VERSION); fi
	$(BIN)/python -m bench.agent_sdk $(ARGS)

models-report: $(STAMP) ## what the engine makes of chat templates (TEMPLATES=DIR: of the .jinja files there, into docs/models.md)
	$(BIN)/python -W ignore -m bench.template_report $(if $(TEMPLATES),$(TEMPLATES) --write docs/models.md) $(ARGS)

mac-report: $(STAMP) ## what this Mac is and does, in one file to send (ARGS="--help" says more)
	@$(BIN)/python -m bench.mac_report $(ARGS)

eval-bundled: $(STAMP) ## what the bundled model can do, on words it never saw (ARGS="--show 20" lists failures)
	$(BIN)/python -m training.evaluation $(ARGS)

train-bundled: $(STAMP) ## train the bundled model anew, into build/bundled_model (ARGS="--help"; hours on a CPU)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train]'
	$(BIN)/python -m training.train $(ARGS)

settings: $(STAMP) ## write the tables of settings in the docs anew, after a change of the table
	$(BIN)/python -m proxy.configuration.reference README.md docs/settings.md

snapshots: $(STAMP) ## redraw the snapshots of the screens; look at them before committing
	$(BIN)/python -m pytest tests/tui/test_snapshots.py tests/tui/test_play_snapshots.py -n 0 --snapshot-update $(ARGS)

demo: $(STAMP) ## write the recording of --play demo anew, then make snapshots: the pictures are made of it
	$(BIN)/python -m tests.tui.demo tui/demo/demo.jsonl.gz

morning: $(STAMP) ## write the recording that the snapshots are drawn from anew, then make snapshots
	$(BIN)/python -m tests.tui.morning

# The real client, for the end-to-end tests. Without npm they are skipped, except in CI, where they must run.
claude-code: ## the real Claude Code, for its end-to-end tests
	@there="$$(sed -n 's/^  "version": "\(.*\)",/\1/p' .claude-code/node_modules/@anthropic-ai/claude-code/package.json 2>/dev/null)"; \
	if [ -x $(CLAUDE) ] && [ "$$there" = $(CLAUDE_VERSION) ]; then :; \
	elif command -v npm >/dev/null; then mkdir -p .claude-code && npm install --prefix .claude-code --no-audit --no-fund --loglevel=error @anthropic-ai/claude-code@$(CLAUDE_VERSION); \
	elif [ -n "$$CI" ]; then echo "npm is needed in CI" >&2; exit 1; \
	elif [ -x $(CLAUDE) ]; then echo "Claude Code $$there is in .claude-code, the tests were written for $(CLAUDE_VERSION); npm, which would fetch it, is not here"; \
	else echo "npm is not here: the tests with the real Claude Code will be skipped"; fi

# On Linux the mlx wheel's reference BLAS makes everything slower, not wrong. Installed in CI; elsewhere it is your machine.
openblas: ## Linux: is the fast BLAS there, and how to get it
	@if [ "$$(uname -s)" != Linux ] || $(BIN)/python -c 'import sys; from engine.process.blas import find_openblas; sys.exit(find_openblas() is None)' 2>/dev/null; then :; \
	elif [ -n "$$CI" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq libopenblas0-pthread; \
	else echo "OpenBLAS is not here; the tests with models will be slow. On Debian: apt-get install libopenblas0-pthread"; fi

clean: ## remove what was built
	rm -rf $(VENV) .claude-code build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
