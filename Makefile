# make demo    install, then reproduce both reports on the built-in phantom
# make test    install, then run the tests
# make check   format, lint, types, layers
# make bench   speed of everything beside a course notebook's loop, skorch, scikit-learn and the floor (QUICK=1, IMAGES=FOLDER)
# make networks   an epoch of ResNet-18 at 96 x 96 beside a plain PyTorch loop, and what augmentation costs
# make serving    how fast a saved model reads images: from files, and over HTTP on this machine
# make scale   what a run costs through Ray, two nodes beside two local workers, how much one driver can write down
# make calibration   coverage, false verdicts and power of the statistics, by simulation
# make looking  false verdicts of a study that grows until it is decided, by simulation
# make diagnosis   does the diagnosis of the gap name a known cause, do its intervals hold? phantoms (DRAWS=40)
# make clusters  every test on real clusters of Ray and Slurm, with all that is taken away from them (root, slurm-wlm)
# make soak    100 kills of running studies, 5,000 runs in one store, 5,000 damaged files for every reader
# make mutants   change the statistics, schedules and study files in thousands of ways, one at a time: do the tests notice?
# make coverage   which lines of src the tests run, in every process they start
# make package   build the sdist and the wheel into dist/, check what they hold, try the wheel in a new environment
# make lock    write requirements/: every version with its hashes, for this platform and this Python
# make pictures   draw the pictures of the documentation again, from the code
# make reference   write the generated parts of docs/reference from the program itself
# make docs    build the documentation into site/

PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2
# hands os._exit to a process, which what measures has replaced by its own
PICKLES_EXIT := tests/runner/test_drive.py::test_an_executor_says_how_a_process_ended

.PHONY: help demo test check bench networks serving scale calibration looking diagnosis soak clusters mutants coverage package lock pictures reference docs clean
help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("doubleread needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e .
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	@touch $@

.venv/installed-bench: .venv/installed-dev
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[bench]'
	@touch $@

.venv/installed-release: .venv/installed-dev
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[release]'
	@touch $@

demo: .venv/installed
	@echo "Both reports on the built-in phantom: synthetic images, 64 x 64 pixels, 6 seeds an arm. A few minutes on two cores."
	$(BIN)/doubleread reproduce all --set data.image_size=64 --seeds 6 --store demo/runs --html demo/report.html
	@echo "Open demo/report.html in a browser. The same on real images: $(BIN)/doubleread reproduce all --data PATH"

test: .venv/installed-dev
	$(BIN)/pytest -n $(JOBS) --dist worksteal

check: .venv/installed-dev
	$(BIN)/ruff format --check src tests benchmarks tools
	$(BIN)/ruff check src tests benchmarks tools
	$(BIN)/pyright
	$(BIN)/pytest tests/test_layers.py

bench: .venv/installed-bench
	$(BIN)/python benchmarks/bench.py $(if $(QUICK),--quick) $(if $(IMAGES),--images $(IMAGES))

networks: .venv/installed-dev
	$(BIN)/python benchmarks/networks.py

serving: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/serving.py

scale: .venv/installed-dev
	$(BIN)/python benchmarks/scale.py

calibration: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/calibration.py

looking: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/looking.py

diagnosis: .venv/installed-dev
	mkdir -p diagnosis
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/diagnosis.py $(or $(DRAWS),40) diagnosis/draws.jsonl

soak: .venv/installed-dev
	rm -rf soak && mkdir -p soak/kills soak/many soak/fuzz
	$(BIN)/python -m tests.reliability.kills 100 7 soak/kills
	$(BIN)/python -m tests.reliability.many 5000 soak/many
	$(BIN)/python -m tests.reliability.fuzz 5000 7 soak/fuzz

clusters: .venv/installed-dev
	set -e; folder=$$(mktemp -d); trap '.ci/slurm stop "$$folder"' EXIT; \
	export "$$(.ci/slurm start "$$folder" | tail -n 1)"; $(BIN)/pytest -m 'cluster or not cluster' tests/engines

mutants: .venv/installed-release
	OMP_NUM_THREADS=1 $(BIN)/mutmut run --max-children $(JOBS)
	$(BIN)/python -m tools.mutants

coverage: .venv/installed-release
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS) --deselect $(PICKLES_EXIT)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

package: .venv/installed-release
	$(BIN)/python -m tools.package

lock: .venv/installed-release
	$(BIN)/python -m tools.lock

pictures: .venv/installed-dev
	$(BIN)/python -m tools.pictures

reference: .venv/installed-dev
	$(BIN)/python -m tools.reference

docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open site/index.html"

clean:
	rm -rf .venv demo site dist bench diagnosis soak mutants .pytest_cache .ruff_cache
