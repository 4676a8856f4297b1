# invoicegate: `make help` lists what can be asked for.
#
# Variables: CC (gcc or clang), BUILD (where the build lands), SANITIZE=1 (AddressSanitizer and
# UndefinedBehaviorSanitizer, into build/asan), JOBS. The private stack takes PORT, UPSTREAM_URL, UPSTREAM_KEY, WORKERS.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

ifeq ($(origin CC),default)
CC := gcc
endif
AR := ar
CLANG_FORMAT ?= clang-format
PYTHON ?= /usr/bin/python3
JOBS ?= $(shell nproc)

ifeq ($(SANITIZE),1)
BUILD ?= build/asan
else
BUILD ?= build
endif
ASAN := build/asan

# ---- flags

CPPFLAGS += -Isrc -D_GNU_SOURCE -MMD -MP
WARNINGS := -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2
HARDENING := -fstack-protector-strong -fPIE
ifneq ($(filter x86_64%,$(shell uname -m)),)
HARDENING += -fcf-protection
endif
LINK_HARDENING := -pie -Wl,-z,relro,-z,now

ifeq ($(SANITIZE),1)
OPTIMIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
            -DINVOICEGATE_TEST_BUILD
else
OPTIMIZE := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(OPTIMIZE) $(HARDENING) $(CFLAGS)
ALL_LDFLAGS = $(OPTIMIZE) $(LINK_HARDENING) $(LDFLAGS)

# Headers of libraries are system headers: their warnings are not ours.
packages_cflags = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(1)))
CPPFLAGS += $(call packages_cflags,libcurl json-c libpq libcrypto)
WORKER_LIBS = -lfcgi $(shell pkg-config --libs libcurl json-c libpq libcrypto)
CTL_LIBS = $(shell pkg-config --libs libcurl json-c libpq libcrypto)
SANDBOX_LIBS = $(shell pkg-config --libs libevent libevent_openssl libssl libcrypto json-c) -lm

# ---- sources

# FOLDERS="base front" builds and tests a part alone.
FOLDERS ?= base front flow store upstream
objects = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(1))

BASE_SOURCES := $(wildcard src/base/*.c)
# Everything of the worker but main.c: what unit tests link.
WORKER_SOURCES := $(filter-out src/main.c,$(wildcard src/*.c $(FOLDERS:%=src/%/*.c)))
CTL_SOURCES := $(filter-out src/ctl/main.c,$(wildcard src/ctl/*.c))
SANDBOX_SOURCES := $(filter-out src/sandbox/main.c,$(wildcard src/sandbox/*.c))

BASE_OBJECTS := $(call objects,$(BASE_SOURCES))
WORKER_OBJECTS := $(call objects,$(WORKER_SOURCES))
CTL_OBJECTS := $(call objects,$(CTL_SOURCES)) $(BASE_OBJECTS)
SANDBOX_OBJECTS := $(call objects,$(SANDBOX_SOURCES))

UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_SANDBOX := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(filter tests/unit/test_sandbox_%.c,$(UNIT_SOURCES)))
UNIT_CTL := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(filter tests/unit/test_ctl_%.c,$(UNIT_SOURCES)))
UNIT_WORKER := $(filter-out %/test_memory_out $(UNIT_SANDBOX) $(UNIT_CTL),$(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/unit/%))
# What several tests share.
UNIT_HELPERS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%.o,$(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*.c)))
# These play the flow with the fuzz targets' stand-ins, and fail allocations.
UNIT_WORLD := $(BUILD)/unit/test_memory_out
# Among the unit tests each fuzz target runs over its corpus.
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT_FUZZ := $(FUZZ:%=$(BUILD)/unit/%)
FUZZ_HELPERS := $(BUILD)/fuzz/fuzz.o $(BUILD)/fuzz/world.o
# TESTS="test_loop test_json" runs these alone.
UNIT := $(if $(TESTS),$(TESTS:%=$(BUILD)/unit/%),$(UNIT_WORKER) $(UNIT_WORLD) $(UNIT_SANDBOX) $(UNIT_CTL) $(UNIT_FUZZ))

# A program whose main does not exist yet is left out.
PROGRAMS := $(if $(wildcard src/main.c),$(BUILD)/invoicegate) \
            $(if $(wildcard src/ctl/main.c),$(BUILD)/invoicegatectl) \
            $(if $(wildcard src/sandbox/main.c),$(BUILD)/invoicegate-sandbox)

C_FILES = $(shell find src tests -name '*.[ch]')
SHELL_FILES = $(shell find tests nginx systemd .ci -name '*.sh' -o -path .ci/run)

# ---- build

# V=1 shows whole commands.
ifeq ($(V),1)
say = @:
Q :=
else
say = @printf '  %-5s %s\n'
Q := @
endif

.PHONY: all clean help
all: $(PROGRAMS) ## build the programs into $(BUILD)

$(BUILD)/obj/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(say) cc $<
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# It takes in a file that no compiler lists as a dependency.
$(BUILD)/obj/front/openapi.o: src/front/openapi.json

$(BUILD)/invoicegate: $(BUILD)/obj/main.o $(WORKER_OBJECTS)
	$(say) link $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(WORKER_LIBS)

$(BUILD)/invoicegatectl: $(BUILD)/obj/ctl/main.o $(CTL_OBJECTS)
	$(say) link $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CTL_LIBS)

$(BUILD)/invoicegate-sandbox: $(BUILD)/obj/sandbox/main.o $(SANDBOX_OBJECTS)
	$(say) link $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(SANDBOX_LIBS)

# Unit tests link archives, so that a test may bring a stand-in for a whole file.
$(BUILD)/libworker.a: $(WORKER_OBJECTS)
$(BUILD)/libctl.a: $(CTL_OBJECTS)
$(BUILD)/libsandbox.a: $(SANDBOX_OBJECTS)
$(BUILD)/libunit.a: $(UNIT_HELPERS)
$(BUILD)/libfuzz.a: $(FUZZ_HELPERS)
$(BUILD)/lib%.a: Makefile
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/unit/%.o: tests/unit/%.c Makefile
	@mkdir -p $(@D)
	$(say) cc $<
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$(UNIT_WORKER): $(BUILD)/unit/%: $(BUILD)/unit/%.o $(BUILD)/libunit.a $(BUILD)/libworker.a
	$(say) link $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(WORKER_LIBS) -lcmocka
$(UNIT_WORLD): $(BUILD)/unit/%: $(BUILD)/unit/%.o $(BUILD)/libfuzz.a $(BUILD)/libworker.a
	$(say) link $@
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc -o $@ $^ $(WORKER_LIBS) -lcmocka
$(UNIT_CTL): $(BUILD)/unit/%: $(BUILD)/unit/%.o $(BUILD)/libunit.a $(BUILD)/libctl.a
	$(say) link $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CTL_LIBS) -lcmocka
$(UNIT_SANDBOX): $(BUILD)/unit/%: $(BUILD)/unit/%.o $(BUILD)/libunit.a $(BUILD)/libsandbox.a
	$(say) link $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(SANDBOX_LIBS) -lcmocka

$(BUILD)/fuzz/%.o: tests/fuzz/%.c Makefile
	@mkdir -p $(@D)
	$(say) cc $<
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<
# The helpers' stand-ins come before what they stand in for.
$(UNIT_FUZZ): $(BUILD)/unit/%: $(BUILD)/fuzz/%.o $(BUILD)/fuzz/replay.o $(BUILD)/libfuzz.a $(BUILD)/libworker.a
	@mkdir -p $(@D)
	$(say) link $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(WORKER_LIBS)
$(FUZZ:%=$(BUILD)/fuzz/%): $(BUILD)/fuzz/%: $(BUILD)/fuzz/%.o $(BUILD)/libfuzz.a $(BUILD)/libworker.a
	$(say) link $@
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(WORKER_LIBS)

# What the benchmark runs beside the worker: the floor, a load of a fixed rate, counts of instructions.
BENCH := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*/*.c))
.PHONY: bench-build
bench-build: $(BENCH)

$(BUILD)/bench/%.o: tests/bench/%.c Makefile
	@mkdir -p $(@D)
	$(say) cc $<
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$(BENCH): $(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/libworker.a
	$(say) link $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(WORKER_LIBS)

-include $(shell find $(BUILD)/obj $(BUILD)/unit $(BUILD)/fuzz $(BUILD)/bench -name '*.d' 2>/dev/null)

clean: ## remove the build
	rm -rf build

# ---- the private stack

export PORT UPSTREAM_URL UPSTREAM_KEY WORKERS PEER ONLY QUICK SEED DURATION INVOICES SECONDS_EACH ATTACKS

.PHONY: deps demo up down
deps: ## install the Debian packages that building and testing need
	tests/stack/deps.sh
	tests/stack/deps.sh tests/client/packages

demo: ## everything from nothing: install, build, start, create one invoice, show it
	tests/stack/demo.sh

up: ## start the private stack (PORT, UPSTREAM_URL, UPSTREAM_KEY, WORKERS)
	tests/stack/up.sh

down: ## stop it
	tests/stack/down.sh

# ---- installation

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
export PREFIX SYSCONFDIR DESTDIR

.PHONY: install uninstall
install: $(BUILD)/invoicegate $(BUILD)/invoicegatectl ## install programs, manuals, units, snippets (PREFIX, SYSCONFDIR, DESTDIR)
	@BUILD=$(BUILD) systemd/install.sh install

uninstall: ## remove what install put; configuration stays
	@BUILD=$(BUILD) systemd/install.sh uninstall

# These know PREFIX, and are compiled anew when it changes.
PREFIX_OBJECTS := $(call objects,src/ctl/migrate.c src/ctl/doctor.c)
$(PREFIX_OBJECTS): CPPFLAGS += -DINVOICEGATE_SQL_DIR='"$(PREFIX)/share/invoicegate/sql"' \
                               -DINVOICEGATE_CONFIG_DIR='"$(SYSCONFDIR)/invoicegate"'
$(PREFIX_OBJECTS): $(BUILD)/prefix
$(BUILD)/prefix: always
	@mkdir -p $(@D)
	@echo '$(PREFIX) $(SYSCONFDIR)' | cmp -s - $@ || echo '$(PREFIX) $(SYSCONFDIR)' >$@
.PHONY: always

# ---- checks

.PHONY: check check-slow abuse check-deps bench bench-instructions audit-scale bare bare-install unit unit-run e2e crashes chaos format format-check includes shellcheck
STAGE = @printf '\n== %s\n'

check: ## all quick checks: build, format, rules, unit and end-to-end tests
	$(STAGE) 'packages'
	@$(MAKE) --no-print-directory check-deps
	$(STAGE) 'build'
	@$(MAKE) --no-print-directory -j$(JOBS) all
	$(STAGE) 'format'
	@$(MAKE) --no-print-directory format-check
	$(STAGE) 'include rules and sizes'
	@$(MAKE) --no-print-directory includes
	$(STAGE) 'shell scripts'
	@$(MAKE) --no-print-directory shellcheck
	$(STAGE) 'unit tests'
	@$(MAKE) --no-print-directory unit
	$(STAGE) 'end-to-end tests, and crashes at each step'
	@$(MAKE) --no-print-directory e2e TESTS='tests/sandbox tests/e2e tests/fault'
	$(STAGE) 'chaos'
	@$(MAKE) --no-print-directory -j3 --output-sync=target chaos-1 chaos-2 chaos-3

check-slow: check ## check, and what takes longer
	$(STAGE) 'build with clang'
	@$(MAKE) --no-print-directory -j$(JOBS) CC=clang BUILD=build/clang all
	$(STAGE) 'lints'
	@$(MAKE) --no-print-directory lint
	$(STAGE) 'fuzzing'
	@$(MAKE) --no-print-directory fuzz DURATION=40
	$(STAGE) 'valgrind'
	@$(MAKE) --no-print-directory valgrind
	$(STAGE) 'hard times'
	@$(MAKE) --no-print-directory survival
	$(STAGE) 'coverage'
	@$(MAKE) --no-print-directory coverage
	$(STAGE) 'abuse'
	@$(MAKE) --no-print-directory abuse
	$(STAGE) 'long chaos'
	@$(MAKE) --no-print-directory chaos SEED=$(or $(SEED),7) DURATION=300 INVOICES=2000
	$(STAGE) 'a bare machine'
	@$(MAKE) --no-print-directory bare CHECK=1
	$(STAGE) 'an installation'
	@$(MAKE) --no-print-directory bare-install

abuse: ## hostile clients, and what well-behaved tenants feel of them (SECONDS_EACH, ATTACKS; .run/abuse.json)
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@INVOICEGATE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/abuse/abuse.py

bench: ## what an invoice costs, beside a yardstick, the floor and the marks (PEER=DIR, QUICK=1, ONLY, ROWS; .run/bench.json)
	@tests/stack/deps.sh tests/bench/packages
	@$(MAKE) --no-print-directory -j$(JOBS) all bench-build
	@INVOICEGATE_BENCH=$(abspath $(BUILD)/bench) $(PYTHON) tests/bench/bench.py

bench-instructions: ## instructions of parse, validate, outcome, object, response, arena on fixed inputs (callgrind); repeatable
	@tests/stack/deps.sh tests/bench/packages
	@$(MAKE) --no-print-directory -j$(JOBS) bench-build
	@INVOICEGATE_BENCH=$(abspath $(BUILD)/bench) $(PYTHON) tests/bench/instructions.py

audit-scale: ## the audit with a long history: answers, readers beside writers (REQUESTS=10000000, 25 GB)
	@tests/stack/deps.sh tests/bench/packages
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@INVOICEGATE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/audit_scale.py $(if $(REQUESTS),--requests $(REQUESTS))

bare: ## make demo on a bare Debian 12 in a directory (root only; CHECK=1 runs make check there, too)
	@tests/stack/deps.sh tests/bare/packages
	@CHECK=$(CHECK) tests/bare/bare-machine.sh

bare-install: ## the README's installation on a Debian 12 that boots in a directory (root only)
	@tests/stack/deps.sh tests/bare/packages
	@tests/bare/bare-install.sh

check-deps:
	@tests/stack/deps.sh --check || tests/stack/deps.sh
	@tests/stack/deps.sh tests/client/packages

unit: ## unit tests on the sanitizer build (TESTS=... for some of them)
	@$(MAKE) --no-print-directory -j$(JOBS) SANITIZE=1 BUILD=$(ASAN) unit-build
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(ASAN) unit-run

.PHONY: unit-build
unit-build: $(UNIT)

unit-run:
	@tests/unit/run.sh $(UNIT)

FUZZ_BUILD := BUILD=build/fuzz CC=clang SANITIZE=1 CFLAGS=-fsanitize=fuzzer-no-link
fuzz: ## fuzz what strangers and the upstream send (DURATION seconds a target; TESTS=fuzz_... for some)
	@$(MAKE) --no-print-directory -j$(JOBS) $(FUZZ_BUILD) fuzz-build
	@tests/fuzz/run.sh build/fuzz/fuzz $(or $(TESTS),$(FUZZ))

lint: ## clang-tidy, cppcheck and gcc's analyzer
	@tests/stack/deps.sh tests/survival/packages
	@JOBS=$(JOBS) tests/lint.sh

COVERAGE_FLAGS := --coverage -O0 -U_FORTIFY_SOURCE -DINVOICEGATE_TEST_BUILD
COVERAGE_BUILD := BUILD=build/coverage CFLAGS='$(COVERAGE_FLAGS)' LDFLAGS=--coverage
coverage: ## which lines of src the unit and end-to-end tests run; fails under FLOOR (90) percent
	@tests/stack/deps.sh tests/survival/packages
	@rm -rf build/coverage
	@$(MAKE) --no-print-directory -j$(JOBS) $(COVERAGE_BUILD) all unit-build
	@$(MAKE) --no-print-directory $(COVERAGE_BUILD) unit-run
	@tests/pytest.sh build/coverage $(TESTS)
	@tests/coverage.sh build/coverage $(or $(FLOOR),90)

valgrind: ## the unit tests and the fuzz targets' corpora under valgrind
	@tests/stack/deps.sh tests/survival/packages
	@$(MAKE) --no-print-directory -j$(JOBS) unit-build
	@RUNNER='valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect' \
		$(MAKE) --no-print-directory unit-run

survival: ## no memory, no descriptors, no disk, a clock that jumps: nothing is lost (STEP=1: each allocation)
	@tests/stack/deps.sh tests/survival/packages
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@STEP=$(or $(STEP),17) tests/pytest.sh $(BUILD) tests/survival

.PHONY: fuzz fuzz-build lint coverage valgrind survival
fuzz-build: $(FUZZ:%=$(BUILD)/fuzz/%)

e2e: ## end-to-end tests on the sanitizer build (TESTS=... for some of them)
	@$(MAKE) --no-print-directory -j$(JOBS) SANITIZE=1 BUILD=$(ASAN) all
	@tests/pytest.sh $(ASAN) $(TESTS)

crashes: ## workers that die on entering each state of a request, and other narrow moments
	@$(MAKE) --no-print-directory -j$(JOBS) SANITIZE=1 BUILD=$(ASAN) all
	@tests/pytest.sh $(ASAN) tests/fault

chaos: ## everything goes wrong at once; three books must agree (SEED, DURATION seconds, INVOICES at least; SANITIZE=1)
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@INVOICEGATE_BUILD=$(BUILD) $(PYTHON) tests/fault/chaos.py

chaos-%:
	@$(MAKE) --no-print-directory chaos SANITIZE=1 SEED=$* DURATION=20 INVOICES=100 RUN_DIR=$(ASAN)/chaos-$*

format: ## format all C files
	@$(CLANG_FORMAT) -i --style=file $(C_FILES)

format-check:
	@$(CLANG_FORMAT) --dry-run -Werror --style=file $(C_FILES)

includes:
	@tests/check-includes.sh

shellcheck:
	@shellcheck $(SHELL_FILES)

help: ## this list
	@echo 'make TARGET [VARIABLE=value ...]'
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16
	@echo 'Variables: CC BUILD SANITIZE=1 JOBS TESTS FOLDERS V=1; the stack: PORT UPSTREAM_URL UPSTREAM_KEY WORKERS'
