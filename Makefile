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
PKGS := fuse3 libpq libcrypto libzstd zlib libxxhash jansson
# Asked once, and only if something is compiled: `make test` installs what is missing.
ask_pkgs = $(if $(shell pkg-config --exists --print-errors $(PKGS) 'fuse3 >= 3.14' && echo found),$(shell pkg-config $(1) $(PKGS)),\
	$(error libraries or pkg-config are missing: scripts/install-deps build installs them))
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(call ask_pkgs,--cflags))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(call ask_pkgs,--libs))$(PKG_LIBS)
# Without contraction sums are the same with every compiler and instruction set.
ALL_CFLAGS = -std=c17 -ffp-contract=off -D_GNU_SOURCE -DFUSE_USE_VERSION=314 -I. $(WARNINGS) -pthread $(PKG_CFLAGS) $(CFLAGS)
ALL_LIBS = -pthread $(PKG_LIBS) -lm $(LDFLAGS)
PGCOMMON = -L$(shell $(PG_CONFIG) --pkglibdir 2>/dev/null) -L$(shell $(PG_CONFIG) --libdir 2>/dev/null) -lpgcommon -lpgport

SOURCES := $(wildcard codec/*.c index/*.c pgclient/*.c fs/*.c fs/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
LIB_OBJECTS := $(filter-out $(BUILD)/fs/main.o,$(OBJECTS))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
EXHAUSTIVE := $(patsubst tests/exhaustive/%.c,$(BUILD)/tests/exhaustive/%,$(wildcard tests/exhaustive/*.c))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY := $(FUZZ:fuzz_%=$(BUILD)/tests/fuzz-replay-%)
PRELOADS := $(BUILD)/tests/tools/other_zstd.so
PROGRAMS := $(patsubst tests/tools/%.c,$(BUILD)/tests/tools/%,$(filter-out %/other_zstd.c,$(wildcard tests/tools/*.c)))
TOOLS := $(PROGRAMS) $(PRELOADS)
BENCH := $(addprefix $(BUILD)/tests/bench/,make_rows memfs stat_times row_times)
INDEX_BENCH := $(BUILD)/bench-index $(BUILD)/bench-hnswlib $(addprefix $(BUILD)/tests/bench/,make_vectors ask)
FUZZ_SECONDS ?= 60

# The arguments that make an exhaustive test short enough for every `make test`.
SHORT_copy_split := short
SHORT_rowgroup_damage := short
SHORT_view_reads := short
SHORT_float4_all := 1000000
SHORT_float8_sample := 100000
SHORT_half_all :=
SHORT := $(patsubst tests/exhaustive/%.c,$(BUILD)/tests/short-%,$(filter-out %/datetime_all.c,$(wildcard tests/exhaustive/*.c)))

.PHONY: all test unit e2e soak test-readers exhaustive fuzz asan tsan bench bench-index bench-builds bench-scan bench-text format lint demo demo-stop install clean help deps tests

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
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(BUILD)/libpgvecfs.a $(WRAP) $(PGCOMMON) -lcmocka $(ALL_LIBS)

NO_MEMORY := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup,--wrap=strndup,--wrap=asprintf,--wrap=aligned_alloc,--wrap=free
$(BUILD)/tests/unit/test_no_memory: WRAP := $(NO_MEMORY),--wrap=fuse_reply_err,--wrap=fuse_req_ctx
$(BUILD)/tests/unit/test_no_memory_rows $(BUILD)/tests/unit/test_no_memory_views $(BUILD)/tests/unit/test_format_arrow $(BUILD)/tests/unit/test_compressed $(BUILD)/tests/unit/test_column_format $(BUILD)/tests/unit/test_parquet: WRAP := $(NO_MEMORY)
$(BUILD)/tests/unit/test_hnsw_no_memory: WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=aligned_alloc,--wrap=free,--wrap=mmap,--wrap=munmap
$(BUILD)/tests/unit/test_child: WRAP := -Wl,--wrap=posix_spawn_file_actions_addopen,--wrap=posix_spawn_file_actions_adddup2,--wrap=posix_spawnattr_setsigmask
$(BUILD)/tests/unit/test_snapshot: WRAP := -Wl,--wrap=version_key_copy,--wrap=version_key_believes,--wrap=version_key_prove,--wrap=strdup,--wrap=hash64,--wrap=crew_unref,--wrap=format_encoder
$(BUILD)/tests/unit/test_answer: WRAP := -Wl,--wrap=vector_index_get,--wrap=vector_index_unref,--wrap=vector_index_intact,--wrap=vector_index_searcher,--wrap=vector_index_done,--wrap=query_within
$(BUILD)/tests/unit/test_partitions: WRAP := -Wl,--wrap=name_encode,--wrap=strcmp
$(BUILD)/tests/unit/test_crew: WRAP := -Wl,--wrap=session_take,--wrap=session_give,--wrap=session_usable,--wrap=session_pool_wanted,--wrap=session_is_wanted,--wrap=session_also_stop,--wrap=session_lock_patience,--wrap=readpoint_open,--wrap=readpoint_join,--wrap=readpoint_leave,--wrap=readpoint_close,--wrap=patience_wait
$(BUILD)/tests/unit/test_scripted: WRAP := $(NO_MEMORY),--wrap=clock_after_ms,--wrap=log_say
$(BUILD)/tests/unit/test_request: WRAP := -Wl,--wrap=fuse_reply_err,--wrap=fuse_reply_attr,--wrap=fuse_reply_entry,--wrap=fuse_reply_open,--wrap=fuse_reply_buf,--wrap=fuse_req_ctx,--wrap=fuse_req_interrupt_func,--wrap=caller_fate,--wrap=clock_ms
$(BUILD)/tests/unit/test_lock_line $(BUILD)/tests/unit/test_answer_room: WRAP := -Wl,--wrap=clock_ms
# They have functions of their own: the first definition is the one that counts.
$(BUILD)/tests/unit/test_ask: WRAP := -Wl,-z,muldefs,--wrap=realloc
$(BUILD)/tests/unit/test_held: WRAP := -Wl,-z,muldefs
$(BUILD)/tests/unit/test_vector_index: WRAP := -Wl,-z,muldefs,--wrap=madvise

$(BUILD)/tests/exhaustive/%: tests/exhaustive/%.c $(BUILD)/libpgvecfs.a
	@mkdir -p $(@D)
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(BUILD)/libpgvecfs.a $(PGCOMMON) -lcmocka $(ALL_LIBS)

$(BUILD)/tests/short-%: $(BUILD)/tests/exhaustive/%
	@printf '#!/bin/sh\nexec "$$(dirname "$$0")/exhaustive/%s" %s\n' '$*' '$(SHORT_$*)' >$@ && chmod +x $@

# A fuzz target replays its own inputs and its corpus with a plain main; `make fuzz` links it with libFuzzer, too.
$(BUILD)/tests/fuzz-replay-%: tests/fuzz/fuzz_%.c tests/fuzz/replay_main.c $(BUILD)/libpgvecfs.a
	@mkdir -p $(@D)
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -MMD -MP -DCORPUS='"tests/fuzz/corpus/$*"' -o $@ $< tests/fuzz/replay_main.c $(BUILD)/libpgvecfs.a $(ALL_LIBS)

$(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c $(BUILD)/libpgvecfs.a
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -MMD -MP -fsanitize=fuzzer -o $@ $< $(BUILD)/libpgvecfs.a $(ALL_LIBS)

# Without sanitizers, whatever the program has: these are programs of users.
$(PROGRAMS): $(BUILD)/tests/tools/%: tests/tools/%.c
	@mkdir -p $(@D)
	@echo "  CC $@"; $(CC) -std=c17 -D_GNU_SOURCE -I. $(WARNINGS) -O1 -g -MMD -MP -o $@ $< $(TOOL_LIBS)
$(BUILD)/tests/tools/parquet_rows: TOOL_LIBS := -lzstd

$(PRELOADS): $(BUILD)/tests/tools/%.so: tests/tools/%.c
	@mkdir -p $(@D)
	@echo "  CC $@"; $(CC) -std=c17 -D_GNU_SOURCE $(WARNINGS) -O1 -g -fPIC -shared -o $@ $< -ldl

deps:
	@scripts/install-deps build test

tests: $(BUILD)/pgvecfs $(UNIT) $(EXHAUSTIVE) $(SHORT) $(REPLAY) $(TOOLS)

# The set-up may bring the tools that the variables above ask for: so make starts anew behind it.
test: deps ## set up and run all tests; ends with `N passed, N failed`
	@$(MAKE) --no-print-directory tests
	@scripts/check-arrows
	@BUILD=$(BUILD) scripts/run-tests

unit: $(UNIT) $(SHORT) $(REPLAY) ## unit tests, replayed fuzz inputs, the short forms of the exhaustive tests
	@BUILD=$(BUILD) scripts/run-tests unit

e2e: $(BUILD)/pgvecfs $(TOOLS) ## end-to-end tests (E2E=FILE.bats…: only these)
	@BUILD=$(BUILD) PGVECFS=$(abspath $(BUILD))/pgvecfs scripts/run-tests e2e $(E2E)

soak: $(BUILD)/pgvecfs $(TOOLS) ## end-to-end tests with as many repetitions as find what happens now and then (E2E=FILE.bats…: only these)
	@BUILD=$(BUILD) PGVECFS=$(abspath $(BUILD))/pgvecfs E2E_SOAK=1 scripts/run-tests e2e $(E2E)

# Programs of others, from npm: they are no part of the other tests.
export READERS := $(abspath $(BUILD))/readers
$(READERS)/node_modules: tests/readers/package.json
	@mkdir -p $(@D) && cp $< $(@D)/ && cd $(@D) && npm install --ignore-scripts --no-audit --no-fund
	@touch $@

test-readers: $(BUILD)/pgvecfs $(TOOLS) $(READERS)/node_modules ## files read by programs of others (needs node and npm)
	@BUILD=$(BUILD) PGVECFS=$(abspath $(BUILD))/pgvecfs scripts/run-tests e2e $(wildcard tests/readers/*.bats)

exhaustive: $(EXHAUSTIVE) ## the exhaustive tests in full
	@set -e; for program in $(filter-out %/datetime_all,$(EXHAUSTIVE)); do echo "  RUN $$program"; $$program; done
	@set -e; for script in $(wildcard tests/exhaustive/*.sh); do echo "  RUN $$script"; $$script $(BUILD)/tests/exhaustive/$$(basename $$script .sh); done

# clang calls NULL + 0 an overflow of a pointer; the next C calls it NULL.
fuzz: ## libFuzzer on each of tests/fuzz, FUZZ_SECONDS=60 each (needs clang)
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang $(FUZZ:%=$(BUILD)/fuzz/%) $(REPLAY:$(BUILD)/%=$(BUILD)/fuzz/%) \
		CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=pointer-overflow -fno-sanitize-recover=all'
	@BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/run-fuzz $(FUZZ:fuzz_%=%)

asan: ## all tests under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan tests \
		CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all'
	@BUILD=$(BUILD)/asan scripts/run-sanitized $(E2E)

tsan: ## all tests under ThreadSanitizer
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan tests CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=thread'
	@BUILD=$(BUILD)/tsan scripts/run-sanitized $(E2E)

$(BENCH) $(filter $(BUILD)/tests/%,$(INDEX_BENCH)): $(BUILD)/tests/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(ALL_LIBS)

bench: $(BUILD)/pgvecfs $(BENCH) ## against its rivals, alternating; writes docs/benchmarks.md (RUNS, ONLY, SCALE, BIG, OUT)
	@BUILD=$(BUILD) scripts/bench

bench-builds: $(BUILD)/pgvecfs $(BENCH) ## this build against that of another commit: OLD=COMMIT (RUNS, ROWS)
	@BUILD=$(BUILD) OLD=$(OLD) scripts/bench-builds

# index/ by itself: it needs codec/ and nothing else.
$(BUILD)/bench-index: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/index*.c)) $(filter $(BUILD)/codec/% $(BUILD)/index/%,$(OBJECTS))
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/bench-hnswlib: tests/bench/hnswlib.cpp tests/bench/vectors.h
	@mkdir -p $(@D)
	@echo "  CXX $@"; $(CXX) -std=c++17 -O3 -march=native -I. -pthread -o $@ $<

bench-index: $(BUILD)/pgvecfs $(INDEX_BENCH) ## similarity search against hnswlib and pgvector; writes docs/benchmarks.md (RUNS, ONLY, OUT)
	@BUILD=$(BUILD) scripts/bench-index

$(BUILD)/tests/bench/%: tests/bench/%.c $(BUILD)/libpgvecfs.a
	@mkdir -p $(@D)
	@echo "  CC $@"; $(CC) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(BUILD)/libpgvecfs.a $(PGCOMMON) $(ALL_LIBS)

bench-text: $(BUILD)/tests/bench/text ## how long the text of a number takes, on each level of instructions
	@$<

lint: ## arrows between folders, formatting, warnings of gcc and clang as errors, scripts
	@BUILD=$(BUILD) scripts/lint

bench-scan: $(BUILD)/tests/bench/scan ## the exact search beside plain reads of the same memory
	@$<

format: ## clang-format over all C files
	clang-format -i $(wildcard $(addsuffix /*.[ch],codec pgclient fs fs/* index tests/unit tests/exhaustive tests/fuzz tests/bench tests/tools))

install: $(BUILD)/pgvecfs ## to PREFIX (/usr/local) below DESTDIR
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(BUILD)/pgvecfs $(DESTDIR)$(PREFIX)/bin/pgvecfs

demo: ## build, load sample data, mount it, and show around (FULL=1: all 341,479 words)
	@FULL=$(FULL) scripts/demo

demo-stop: ## end the demo
	@scripts/demo-stop

-include $(OBJECTS:.o=.d) $(UNIT:=.d) $(EXHAUSTIVE:=.d) $(REPLAY:=.d) $(TOOLS:=.d) $(INDEX_BENCH:=.d) $(patsubst %.c,$(BUILD)/%.d,$(wildcard tests/bench/index*.c))

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1 \2/p' Makefile | while read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done
