# Every target sets up what it needs by itself; a second run is quick. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# ansible-core reads names and files as UTF-8 whatever the terminal says.
export LC_ALL := C.UTF-8

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-22s %s\n", $$1 ($$1 == "molecule" ? " S=SCENARIO" : $$1 == "lab-shell" ? " H=HOST" : ""), $$2}' Makefile

.PHONY: demo
demo: venv engine ## back a populated Debian 12 server up, prove that by restoring it, take it to Debian 13, show that nothing was lost
	@scripts/demo

.PHONY: test
test: venv tools engine-and-browser ## run everything: lint, unit, sanity, build, all Molecule scenarios
	@scripts/run-tests all

.PHONY: test-fast
test-fast: venv tools ## run lint and the unit tests
	@scripts/run-tests fast

.PHONY: lint
lint: venv ## run all linters and the repository's own checks
	@scripts/lint

.PHONY: format
format: venv ## format the Python code as lint wants it
	@ruff format . && ruff check --fix .

.PHONY: unit
unit: venv tools ## run the unit tests and the repository's tests
	@python -m pytest

.PHONY: sanity
sanity: venv ## run ansible-test sanity on the built copy of the collection
	@scripts/sanity

.PHONY: test-vm
test-vm: venv ## test legacy disks in a QEMU machine: LVM, md, LUKS, clones, a reboot with them plugged (as root; the first time builds its disks)
	@scripts/vm-lab test

.PHONY: torture
torture: venv engine ## cut 200 real upgrades in the middle, drawn from a seed (as root, N= SEED= JOBS= ONLY="NUMBER..." KINDS="KIND...")
	@scripts/torture -n $(or $(N),200) --seed $(or $(SEED),1) --jobs $(or $(JOBS),3) $(if $(ONLY),--only $(ONLY)) $(if $(KINDS),--kinds $(KINDS))
.PHONY: test-vm-upgrade
test-vm-upgrade: venv ## upgrade a QEMU machine with LVM from Debian 12 to 13 for real, and let it go back (as root, takes hours under emulation)
	@scripts/vm-lab test-upgrade
.PHONY: test-servers
test-servers: venv engine ## upgrade two more kinds of servers at once, then seed every fault on them: Apache, PostgreSQL, Exim, ProFTPD; BIND and Postfix
	@scripts/run-tests molecule upgrade_servers

.PHONY: test-fleet
test-fleet: venv engine ## upgrade a fleet of 50 light servers in waves: one is refused, one loses its power, one loses a file, the wave stops
	@scripts/run-tests molecule fleet

.PHONY: test-hops
test-hops: venv engine ## upgrade the lab's hosting server from Debian 11 to 13 in one flight of two hops
	@scripts/run-tests molecule upgrade_hops

.PHONY: bench
bench: venv ## measure backups against plain restic and borg (as root, B="--scale 0.05" for a quick one)
	@python benchmarks/backup.py $(B)

.PHONY: bench-trees
bench-trees: venv ## measure copies and manifests of trees against cp, rsync, fpsync, hashdeep, b3sum, xxhsum (as root, B= as for bench)
	@python benchmarks/trees.py $(B)

.PHONY: bench-fleet
bench-fleet: venv engine ## measure what each host of a fleet costs the controller at 10, 25 and 50 light containers (B="--stand-ins" without containers)
	@scripts/lab-images trixie
	@python benchmarks/fleet.py $(B)

.PHONY: comparison
comparison: venv ## draw docs/comparison.md and the README's table from docs/comparison.yml
	@python scripts/lib/comparison.py

.PHONY: build
build: venv ## build the collection's tarball in build/ and prove that it is complete
	@scripts/build

.PHONY: molecule
molecule: venv engine ## run one Molecule scenario
	@test -n "$(S)" || { echo "say which: make molecule S=NAME, one of: $$(cd molecule && ls */molecule.yml | xargs -n1 dirname | xargs)" >&2; exit 1; }
	@scripts/run-tests molecule "$(S)"

.PHONY: lab-up
lab-up: venv engine ## start the lab: web1 (a populated hosting server), vault and attic (its backups), drill, probe
	@scripts/lab up

.PHONY: lab-shell
lab-shell: venv engine ## open a root shell on one host of the lab
	@scripts/lab shell "$(or $(H),web1)"

.PHONY: lab-down
lab-down: venv engine ## stop the lab and take it away
	@scripts/lab down

.PHONY: clean
clean: ## remove what the targets made in this checkout (images and the Docker engine stay)
	@rm -rf build .venv .collections .ansible .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: venv
venv: ## make the Python environment .venv and the collections the tests need
	@scripts/venv

.PHONY: tools
tools: ## install what the unit tests put to work on real filesystems
	@scripts/test-tools

.PHONY: engine engine-and-browser
engine:
	@scripts/docker-engine

engine-and-browser:
	@scripts/docker-engine --with-browser
