# One command each, the same at the desk and in continuous integration. `make help` lists them.

.PHONY: help packages venv build release check test unit demo dev bench format generate documents fuzz chaos

DEBUG_DIR ?= .build
RELEASE_DIR ?= .build-release
RECIPIENTS ?= 10000

help:              ## list the commands
	@grep -E '^[a-z]+: .*##' Makefile | sed -E 's/:.*##/\t/'

packages:          ## install the Debian packages that building needs
	@scripts/install-packages build

venv: .venv/ready  ## make the Python environment of the acceptance tests
.venv/ready: Tests/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r Tests/requirements.txt
	@touch .venv/ready

build: packages    ## debug build, the one that tests use
	swift build --scratch-path $(DEBUG_DIR)

release: packages  ## release build, the one that people run
	swift build -c release --scratch-path $(RELEASE_DIR) --product telstar

check: packages    ## format, imports, RFC index, generated code, paths, warnings
	@scripts/check $(DEBUG_DIR)

test: packages     ## everything that must hold
	@scripts/install-packages test
	@$(MAKE) --no-print-directory venv
	@scripts/test $(DEBUG_DIR)

unit: packages     ## the fast part, no servers
	swift test --scratch-path $(DEBUG_DIR) --experimental-maximum-parallelization-width 4 --skip 'InteropTests' --skip 'PostgreSQLTests'

demo: release      ## the main job on the embedded defaults
	$(RELEASE_DIR)/release/telstar demo --recipients $(RECIPIENTS)

dev: release       ## a cluster with two satellites and a sink to play with
	$(RELEASE_DIR)/release/telstar demo --recipients 100 --keep

chaos: build       ## every crash point and role against a real cluster
	@$(MAKE) --no-print-directory venv
	.venv/bin/python Tests/Acceptance/crash_points.py --telstar $(DEBUG_DIR)/debug/telstar

format:            ## format the sources in place
	swift format --in-place --parallel --configuration .swift-format -r Sources Tests Package.swift

generate: packages ## regenerate the code of the cluster protocol
	@scripts/generate-protocol

documents: build   ## regenerate the page of commands from the program's help
	@scripts/generate-command-line $(DEBUG_DIR)/debug/telstar > docs/operations/command-line.md
