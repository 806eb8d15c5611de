# Everything starts here: `make demo` runs a whole study, `make test` checks the software. See README.md.
.POSIX:
.SUFFIXES:

BIN = .venv/bin
# one thread per process: two test processes share two cores without fighting, and sums come out the same everywhere
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help demo demo-all test lint types setup setup-dev evidence clean

help:
	@echo 'make demo      set up, run the demo study into demo-study/, print the path of its report (minutes)'
	@echo 'make test      set up, check style and types, run the whole test suite'
	@echo 'make demo-all  the demo, a crop study with a simulated crowd, and the demo from the built wheel in an empty environment'
	@echo 'make evidence  the long measurements of tests/benchmarks/, as JSON in evidence/'
	@echo 'make clean     remove caches, builds and demo-study/ (not .venv/)'

setup:
	@sh setup/setup.sh all

setup-dev:
	@sh setup/setup.sh all,dev

demo: setup
	@$(BIN)/foolscan rehearse demo --to demo-study

test: setup-dev
	@$(MAKE) -s lint types
	@$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile </dev/null

# what a user of the released package gets; downloads the dependencies into a second environment
demo-all: setup-dev
	@$(BIN)/foolscan rehearse demo --to demo-study
	@$(BIN)/foolscan rehearse crops_demo --online --to crops-demo
	@sh setup/demo_from_wheel.sh

evidence: setup-dev
	@$(BIN)/python tests/evidence.py

lint:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types:
	@for platform in linux win32 darwin; do \
	  echo "mypy --platform $$platform"; \
	  $(BIN)/mypy --platform $$platform --cache-dir .mypy_cache/$$platform || exit 1; \
	done

clean:
	rm -rf demo-study crops-demo demo-all build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
