# On a machine with Python >= 3.11 and pip or uv, nothing else is needed: every target sets itself up first.
PY = .venv/bin/python

.PHONY: demo test lint lock bench setup clean

demo: setup   ## a simulated case through the live path, its events and its report
	@mkdir -p demo
	@$(PY) -m ionm replay fixtures/lost-at-decompression.edf \
	  --events demo/events.jsonl --summary demo/summary.json --report demo/report.html

test: export QT_QPA_PLATFORM = offscreen
test: setup   ## the whole suite, without a screen
	$(PY) -m pytest --cov --cov-report=term

lint: setup   ## what the suite checks too, but at once
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

lock:         ## the newest versions that pyproject.toml allows, with hashes and without hosts
	$$(command -v uv || echo .tools/bin/uv) pip compile --quiet --upgrade --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  --extra dev --group build --output-file requirements.lock pyproject.toml

bench: setup  ## the benchmarks, against peers in an environment of their own
	sh benchmarks/run.sh

setup:
	@sh tools/setup.sh

clean:        ## everything that the other targets made
	rm -rf .venv .tools build dist *.egg-info ionm/_kernels*.so demo
	rm -rf .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
