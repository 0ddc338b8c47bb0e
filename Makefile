# The front door. `make` alone lists the targets.
.PHONY: help setup demo test lint types bench docs frontend lock clean

help:
	@echo "make setup     .venv/bin/windlass, and all that the tests need"
	@echo "make demo      a requirement becomes tested code (no model, no key)"
	@echo "make test      every test (those of the page also need Node; it gets that too)"
	@echo "make lint      style, import directions"
	@echo "make types     mypy --strict"
	@echo "make bench     the measurements behind docs/"
	@echo "make docs      check the documentation: links, commands, examples"
	@echo "make frontend  build the page anew (needs Node)"
	@echo "make lock      resolve requirements.lock anew"

setup:
	@scripts/setup bubblewrap chromium postgresql

demo:
	@scripts/setup bubblewrap
	@mkdir -p .demo
	@cd .demo && ../.venv/bin/windlass demo

test: setup
	@scripts/page_tools
	.venv/bin/pytest $(ARGS)

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

types: setup
	.venv/bin/mypy

bench: setup
	@for script in bench/*.py; do echo "== $$script"; .venv/bin/python $$script $(ARGS) || exit 1; done

docs: setup
	.venv/bin/pytest tests/test_docs.py -n 0

frontend:
	cd frontend && npm ci && npm run build

lock:
	.tools/bin/uv pip compile pyproject.toml --universal --all-extras --group dev --generate-hashes \
		--no-annotate --no-header --quiet --output-file requirements.lock

clean:
	rm -rf .venv .tools .demo dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
