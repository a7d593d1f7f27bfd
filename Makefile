# make demo   a file crosses over QUIC on this machine, with figures
# make test   the test suite, on the compiled build
# Both set up what they need in .venv: CPython 3.11+, a C compiler and make are enough, no root.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
PYTEST_ARGS ?= -q -n auto
PIP := python -m pip --disable-pip-version-check --quiet install

SOURCES := pyproject.toml setup.py $(shell find src -name '__pycache__' -prune -o \( -type d -o -name '*.py' -o -name py.typed \) -print)

.PHONY: build demo test test-pure soak fuzz lint docs interop lab figures bench clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile
	@echo "also: build, test-pure, soak, fuzz, lint, docs, interop, lab, figures, bench, clean"

build: .venv/.built
	@true

demo: .venv/.built
	@.venv/bin/ropewalk demo

test: .venv/.built .venv/.group-test
	.venv/bin/python -m pytest $(PYTEST_ARGS)

test-pure: .venv-pure/.built .venv-pure/.group-test
	ROPEWALK_EXPECT=interpreted .venv-pure/bin/python -m pytest $(PYTEST_ARGS)

# Long runs of the property machine: make soak SOAK_ARGS="--first 10000 --count 500"
soak: .venv/.built .venv/.group-test
	.venv/bin/python -m tests.property.soak $(SOAK_ARGS)

# Seconds for each target: make fuzz FUZZ_SECONDS=600 FUZZ_TARGETS="frames packets"
FUZZ_SECONDS ?= 60
fuzz: .venv-pure/.built .venv-pure/.group-fuzz
	.venv-pure/bin/python -m fuzz.run $(FUZZ_TARGETS) --seconds $(FUZZ_SECONDS)

lint: .venv/.built .venv/.group-lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --strict
	.venv/bin/python tools/shift_lint.py
	PYTHONPATH=src .venv/bin/lint-imports --no-cache
	PYTHONPATH=src .venv/bin/lint-imports --no-cache --config tools/circles.toml

# -B: a __pycache__ made in src/ would look like a change there.
docs: .venv/.group-docs
	.venv/bin/python -B -m sphinx -q -W --keep-going -E -b html -d build/doctrees docs build/docs
	@echo "open build/docs/index.html"

interop: .venv/.built
	.venv/bin/python interop/run.py

# The whole catalogue, on two processes; MARKDOWN=docs/lab.md writes the table into that page.
lab: .venv/.built
	.venv/bin/ropewalk lab run --all --jobs 2 $(if $(MARKDOWN),--markdown $(MARKDOWN))

# Congestion controllers on the lab's networks, into docs/lab.md.
figures: .venv/.built
	.venv/bin/python bench/lab_figures.py

bench: .venv/.built .venv-pure/.built .venv/.group-interop
	.venv/bin/python bench/run.py
	.venv/bin/python bench/http3_load.py

clean:
	rm -rf .venv .venv-pure build src/*.egg-info

# ---------------------------------------------------------------- set-up

%/.made:
	@test -n "$(PYTHON)" || { echo "ropewalk: no CPython 3.11 or newer found; install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "ropewalk: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu install python3-venv"; exit 1; }
	@echo "setting up $* with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $*
	@$*/bin/$(PIP) 'pip>=25.1'
	@touch $@

%/.group-build: %/.made pyproject.toml
	@$*/bin/$(PIP) --group build
	@touch $@

# What this machine, or ROPEWALK_PURE, makes of the build. When it changes, so does the name of
# the stamp, and the build is made anew.
MODE := $(if $(filter-out 0,$(ROPEWALK_PURE)),interpreted,$(if $(shell command -v $${CC:-cc} 2>/dev/null),compiled,no-compiler))

.venv/.mode-$(MODE): | .venv/.made
	@rm -f .venv/.mode-*
	@touch $@

# Never editable: a .py in src/ would shadow the compiled modules, and an in-place .so the source.
.venv/.built: .venv/.group-build .venv/.mode-$(MODE) $(SOURCES)
	@test $(MODE) != compiled || echo "building the compiled core; the first time takes a minute or two"
	@.venv/bin/$(PIP) --no-build-isolation .
	@.venv/bin/python -m ropewalk._build
	@touch $@

.venv-pure/.built: .venv-pure/.group-build $(SOURCES)
	@ROPEWALK_PURE=1 .venv-pure/bin/$(PIP) --no-build-isolation .
	@.venv-pure/bin/python -m ropewalk._build
	@touch $@

%/.group-test: %/.group-build pyproject.toml
	@$*/bin/$(PIP) --group test
	@touch $@

%/.group-fuzz: %/.group-build pyproject.toml
	@$*/bin/$(PIP) --group fuzz
	@touch $@

%/.group-lint: %/.group-build pyproject.toml
	@$*/bin/$(PIP) --group lint
	@touch $@

%/.group-docs: %/.group-build pyproject.toml
	@$*/bin/$(PIP) --group docs
	@touch $@

%/.group-interop: %/.group-build pyproject.toml
	@$*/bin/$(PIP) --group interop
	@touch $@

# Kept by name: a bare .SECONDARY would let a missing stamp pass for made.
.PRECIOUS: %/.made %/.group-build %/.group-test %/.group-fuzz %/.group-lint %/.group-docs %/.group-interop
.DELETE_ON_ERROR:
