# pgvecfs. `make help` lists the targets.
#
#   make CC=clang         another compiler
#   make BUILD=build/x    another place for what is built

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
PG_CONFIG ?= $(shell ls -1 /usr/lib/postgresql/*/bin/pg_config 2>/dev/null | sort -V | tail -n 1)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror=implicit
PKGS := fuse3 libpq libzstd libxxhash
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -DFUSE_USE_VERSION=314 -I. $(WARNINGS) -pthread $(shell pkg-config --cflags $(PKGS)) $(CFLAGS)
ALL_LIBS = -pthread $(shell pkg-config --libs $(PKGS)) -lm $(LDFLAGS)
PGCOMMON = -L$(shell $(PG_CONFIG) --pkglibdir 2>/dev/null) -L$(shell $(PG_CONFIG) --libdir 2>/dev/null) -lpgcommon -lpgport

SOURCES := $(wildcard codec/*.c pgclient/*.c fs/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
LIB_OBJECTS := $(filter-out $(BUILD)/fs/main.o,$(OBJECTS))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
EXHAUSTIVE := $(patsubst tests/exhaustive/%.c,$(BUILD)/tests/exhaustive/%,$(wildcard tests/exhaustive/*.c))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all test unit e2e exhaustive fuzz asan tsan bench format lint demo demo-stop install clean help deps

all: $(BUILD)/pgvecfs ## build the program

$(BUILD)/pgvecfs: $(OBJECTS)
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libpgvecfs.a: $(LIB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libpgvecfs.a
	@mkdir -p $(@D)
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(BUILD)/libpgvecfs.a $(PGCOMMON) -lcmocka $(ALL_LIBS)

$(BUILD)/tests/exhaustive/%: tests/exhaustive/%.c $(BUILD)/libpgvecfs.a
	@mkdir -p $(@D)
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(BUILD)/libpgvecfs.a $(PGCOMMON) -lcmocka $(ALL_LIBS)

# A fuzz target replays its corpus with a plain main; `make fuzz` links it with libFuzzer instead.
$(BUILD)/tests/fuzz-replay-%: tests/fuzz/fuzz_%.c tests/fuzz/replay_main.c $(BUILD)/libpgvecfs.a
	@mkdir -p $(@D)
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -DCORPUS='"tests/fuzz/corpus/$*"' -o $@ $< tests/fuzz/replay_main.c $(BUILD)/libpgvecfs.a $(ALL_LIBS)

deps:
	@scripts/install-deps build test

tests: $(BUILD)/pgvecfs $(UNIT) $(EXHAUSTIVE) $(FUZZ:fuzz_%=$(BUILD)/tests/fuzz-replay-%)

# The set-up may bring the tools that the variables above ask for: so make starts anew behind it.
test: deps ## set up and run all tests; ends with `N passed, N failed`
	@$(MAKE) --no-print-directory tests lint
	@BUILD=$(BUILD) scripts/run-tests

demo: ## build, load sample data, mount it, and show around (FULL=1: all 341,479 words)
	@FULL=$(FULL) scripts/demo

demo-stop: ## end the demo
	@scripts/demo-stop

-include $(OBJECTS:.o=.d)

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile | awk -F': ' '{printf "  make %-12s %s\n", $$1, $$2}'
