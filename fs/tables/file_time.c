/* The times are kept as records of relation 0, which does not exist. */
#include "fs/tables/file_time.h"

#include "fs/base/log.h"

#include <stdio.h>
#include <stdlib.h>

static void time_kind(const struct subject *subject, char kind[40])
{
    const struct relation *relation = &subject->table->relation;
    uint64_t parts[] = {hash64(relation->schema, strlen(relation->schema)),
                        hash64(relation->name, strlen(relation->name))};
    uint64_t name = hash64(parts, sizeof parts);
    uint64_t chosen[] = {name, selection_number(subject->columns)};
    snprintf(kind, 40, "%016llx-%d",
             (unsigned long long)(chosen[1] == 0 ? name : hash64(chosen, sizeof chosen)),
             subject->kind);
}

int64_t file_time_load(const struct subject *subject)
{
    char kind[40];
    struct buffer record = {0};
    int64_t mtime = 0;
    time_kind(subject, kind);
    if (store_get_record(subject->table->mount->store, 0, kind, &record) == 0) {
        struct record_reader in = {.at = record.data, .end = record.data + record.size};
        mtime = record_get_seconds(&in);
    }
    buffer_clear(&record);
    return mtime;
}

struct sweep {
    struct store *store;
    int64_t now;
};

static void sweep_one(void *context, const char *kind)
{
    enum { CLOCK_BACK = 86400 }; /* setting the clock back by no more than this does no harm */
    const struct sweep *sweep = context;
    struct buffer record = {0};
    char own[40];
    char *end;
    unsigned long long hash = strtoull(kind, &end, 16);
    snprintf(own, sizeof own, "%016llx-%ld", hash, *end == '-' ? strtol(end + 1, NULL, 10) : -1);
    if (strcmp(own, kind) != 0 || store_get_record(sweep->store, 0, kind, &record) < 0)
        return;
    struct record_reader in = {.at = record.data, .end = record.data + record.size};
    int64_t mtime = record_get_seconds(&in);
    if (!in.bad && mtime + CLOCK_BACK < sweep->now)
        store_drop_record(sweep->store, 0, kind);
    buffer_clear(&record);
}

void file_time_sweep(struct store *store, int64_t now)
{
    struct sweep sweep = {store, now};
    store_each_record(store, 0, sweep_one, &sweep);
}

void file_time_save(const struct subject *subject, int64_t mtime)
{
    char kind[40];
    struct text record = {0};
    time_kind(subject, kind);
    record_put_u64(&record, (uint64_t)mtime);
    if (record.failed != 0 ||
        store_put_record(subject->table->mount->store, 0, kind, &record.bytes) < 0)
        log_say(LOG_SAY_DEBUG, "the time of %s.%s finds no room in the cache",
                subject->table->relation.schema, subject->table->relation.name);
    text_clear(&record);
}
