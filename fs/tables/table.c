#include "fs/tables/table.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "fs/tables/job.h"
#include "fs/tables/listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STAYS = sizeof((struct subject *)NULL)->stays / sizeof(struct stay),
    ORPHAN_MS = 10000 /* a job goes on so long without anybody waiting */
};

bool version_lacks(const struct version *version, int face)
{
    const struct snapshot *snapshot = version->snapshot;
    unsigned made_of = face < FORMAT_COUNT     ? 1U << face
                       : face == FACE_MANIFEST ? version->mount->options->listed_formats
                                               : 0;
    for (int i = 0; i < FORMAT_COUNT && snapshot != NULL; i++)
        if ((made_of & 1U << i) && snapshot->faces[i].refused == 0 &&
            !formats[i]->possible(snapshot->schema))
            return true;
    return false;
}

struct version *version_ref(struct version *version)
{
    atomic_fetch_add(&version->refs, 1);
    return version;
}

static void free_version(void *argument)
{
    struct version *version = argument;
    snapshot_unref(version->snapshot);
    free(version->signature);
    for (int i = 0; i < FACE_COUNT; i++) {
        buffer_clear(&version->text[i]);
        free(version->reason[i]);
    }
    free(version);
}

/* The last reference deletes files: not under the mount's lock. */
void version_unref(struct version *version)
{
    if (version == NULL || atomic_fetch_sub(&version->refs, 1) != 1)
        return;
    if (version->mount->enders != NULL)
        waiters_put(version->mount->enders, &version->ending, free_version, version);
    else
        free_version(version);
}

static int set_names(struct table *table, const struct relation *relation)
{
    char *schema = strdup(relation->schema), *name = strdup(relation->name);
    if (schema == NULL || name == NULL) {
        free(schema);
        free(name);
        return -ENOMEM;
    }
    free((char *)table->relation.schema);
    free((char *)table->relation.name);
    table->relation = *relation;
    table->relation.schema = schema;
    table->relation.name = name;
    return 0;
}

struct table *table_get(struct mount *mount, const struct relation *relation)
{
    struct table **bucket = &mount->tables[relation->oid % TABLE_BUCKETS];
    for (struct table *table = *bucket; table != NULL; table = table->next) {
        if (table->relation.oid != relation->oid)
            continue;
        bool renamed = strcmp(table->relation.name, relation->name) != 0 ||
                       strcmp(table->relation.schema, relation->schema) != 0;
        /* A running job reads the names: it learns of the rename from the server, and fails. */
        bool busy = table->subjects[SUBJECT_ROWS].running || table->subjects[SUBJECT_DDL].running;
        if (renamed && !busy && set_names(table, relation) < 0)
            return NULL;
        return table;
    }
    struct table *table = calloc(1, sizeof *table);
    if (table == NULL || set_names(table, relation) < 0) {
        free(table);
        return NULL;
    }
    table->mount = mount;
    for (int i = 0; i < SUBJECT_COUNT; i++) {
        table->subjects[i].table = table;
        table->subjects[i].kind = i;
    }
    table->next = *bucket;
    *bucket = table;
    mount->table_count++;
    return table;
}

void table_free(struct table *table)
{
    for (int i = 0; i < SUBJECT_COUNT; i++) {
        version_unref(table->subjects[i].current);
        subject_unwant_all(&table->subjects[i]);
        promises_clear(&table->subjects[i].promises);
        for (size_t k = 0; k < STAYS; k++)
            version_unref(table->subjects[i].stays[k].version);
    }
    free((char *)table->relation.schema);
    free((char *)table->relation.name);
    free(table);
}

static bool is_used(const struct table *table)
{
    for (int i = 0; i < SUBJECT_COUNT; i++) {
        const struct subject *subject = &table->subjects[i];
        if (subject->running || subject->nodes > 0 || subject->opens > 0 ||
            subject->waiting.first != NULL)
            return true;
    }
    return false;
}

bool table_free_gone(struct mount *mount, bool *remain)
{
    bool freed = false;
    *remain = false;
    for (int i = 0; i < TABLE_BUCKETS; i++)
        for (struct table **at = &mount->tables[i]; *at != NULL;) {
            struct table *table = *at;
            bool gone = !listing_has_oid(mount, table->relation.oid);
            bool used = gone && is_used(table);
            *remain |= used;
            freed |= gone && !used;
            if (!gone || used) {
                at = &table->next;
                continue;
            }
            *at = table->next;
            mount->table_count--;
            table_free(table);
        }
    return freed;
}

bool subject_leased(const struct subject *subject)
{
    if (subject->current == NULL ||
        (subject->current->snapshot != NULL && subject->current->snapshot->broken))
        return false;
    bool measuring = subject->table->mount->options->lease_ms > 0 && subject->running &&
                     !subject->refreshing && !subject->want_refresh && subject->wanted != NULL;
    return measuring || clock_ms() < subject->lease_until;
}

const struct promise *subject_promised(const struct subject *subject, caller_id caller)
{
    const struct promise *promise = promise_find(&subject->promises, caller);
    bool broken = promise != NULL && promise->version != NULL &&
                  promise->version->snapshot != NULL && promise->version->snapshot->broken;
    return broken || (promise != NULL && !promise->told) ? NULL : promise;
}

bool subject_open(struct subject *subject, int face)
{
    bool first = !(subject->opened & 1U << face);
    subject->opened |= 1U << face;
    if (first)
        subject_extend(subject);
    return first;
}

void subject_extend(struct subject *subject)
{
    int64_t until = clock_ms() + subject->table->mount->options->lease_ms;
    if (until > subject->lease_until)
        subject->lease_until = until;
}

static void end_stay(struct stay *stay)
{
    version_unref(stay->version);
    *stay = (struct stay){0};
}

void subject_stay(struct subject *subject, caller_id caller, struct version *version)
{
    struct stay *place = &subject->stays[0];
    if (!caller_is_process(caller))
        return;
    for (size_t i = 0; i < STAYS && place->caller != caller; i++) {
        struct stay *stay = &subject->stays[i];
        if (stay->caller == caller || stay->until < place->until)
            place = stay;
    }
    struct version *kept = version_ref(version);
    end_stay(place);
    *place = (struct stay){caller, clock_ms() + subject->table->mount->options->lease_ms, kept};
}

struct version *subject_stays(const struct subject *subject, caller_id caller)
{
    int64_t now = clock_ms();
    for (size_t i = 0; i < STAYS; i++) {
        const struct stay *stay = &subject->stays[i];
        bool holds = stay->version != NULL && now < stay->until &&
                     (stay->version->snapshot == NULL || !stay->version->snapshot->broken);
        if (holds && stay->caller == caller)
            return stay->version;
    }
    return NULL;
}

void subject_doubt(struct subject *subject) { subject->lease_until = 0; }

void subject_renew(struct subject *subject)
{
    enum { WORTH_MS = 1000, SHARE = 4 }; /* in the last quarter of a lease */
    int64_t lease = subject->table->mount->options->lease_ms;
    if (lease >= WORTH_MS && !subject->running && subject->lease_until - clock_ms() < lease / SHARE)
        subject_want_refresh(subject, -1);
}

static void want_job(struct subject *subject)
{
    subject->wanted_at = clock_ms();
    if (!subject->running)
        job_start(subject);
}

void subject_want_refresh(struct subject *subject, int face)
{
    subject->want_refresh = true;
    if (face >= 0)
        subject->next_sizes |= 1U << face;
    want_job(subject);
}

/* Whoever came first is served first. */
void subject_want_face(struct subject *subject, struct version *version, int face, enum need need)
{
    if (!(version->want_sizes | version->want_bytes)) {
        struct version **last = &subject->wanted;
        while (*last != NULL)
            last = &(*last)->next_wanted;
        *last = version_ref(version);
    }
    version->wanted_at = clock_ms();
    version->want_sizes |= 1U << face;
    if (need == NEED_BYTES)
        version->want_bytes |= 1U << face;
    want_job(subject);
}

void subject_unwant(struct subject *subject, struct version *version)
{
    struct version **at = &subject->wanted;
    while (*at != NULL && *at != version)
        at = &(*at)->next_wanted;
    if (*at == NULL)
        return;
    *at = version->next_wanted;
    version->next_wanted = NULL;
    version->want_sizes = version->want_bytes = 0;
    version_unref(version);
}

void subject_unwant_all(struct subject *subject)
{
    while (subject->wanted != NULL)
        subject_unwant(subject, subject->wanted);
}

void subject_offer(struct subject *subject, int face, uint64_t nodeid)
{
    if (face < FORMAT_COUNT)
        subject->prefill_nodes[face] = nodeid;
}

void subject_bind_later(struct subject *subject, uint64_t nodeid, uint64_t feed)
{
    struct mount *mount = subject->table->mount;
    for (int i = 0; i < STREAMS_AT_MOST; i++) {
        uint64_t other = subject->bind_later[i].nodeid;
        bool known = other == nodeid && subject->bind_later[i].feed == feed;
        if (!known && mount->users->is_open(mount, other))
            continue;
        subject->bind_later[i].nodeid = nodeid;
        subject->bind_later[i].feed = feed;
        return;
    }
}

void subject_bind_never(struct subject *subject, uint64_t nodeid)
{
    for (int i = 0; i < STREAMS_AT_MOST; i++)
        if (subject->bind_later[i].nodeid == nodeid)
            subject->bind_later[i].nodeid = 0;
}

/* Whether all its groups that are needed can be had again in any case: from the read point that the
 * one version in use holds. */
static bool can_be_read_again(const struct subject *rows)
{
    const struct version *current = rows->current;
    if (current == NULL || current->snapshot == NULL || rows->opens != current->opens)
        return false;
    pthread_mutex_lock(&current->snapshot->lock);
    bool held = current->snapshot->held != NULL && crew_is_open(current->snapshot->held);
    pthread_mutex_unlock(&current->snapshot->lock);
    return held;
}

bool mount_uses_relation(struct mount *mount, uint32_t relation)
{
    bool used = false;
    pthread_mutex_lock(&mount->lock);
    for (const struct table *table = mount->tables[relation % TABLE_BUCKETS]; table != NULL;
         table = table->next) {
        const struct subject *rows = &table->subjects[SUBJECT_ROWS];
        if (table->relation.oid == relation)
            used = rows->running || ((rows->opens > 0 || clock_ms() < rows->lease_until) &&
                                     !can_be_read_again(rows));
    }
    pthread_mutex_unlock(&mount->lock);
    return used;
}

/* A face of a version of the past is nobody's but theirs who go by that. */
static bool is_orphaned(const struct subject *subject, int64_t now)
{
    const struct version *making = subject->making;
    bool past = making != NULL && making != subject->current;
    return subject->running && now - (past ? making->wanted_at : subject->wanted_at) > ORPHAN_MS;
}

static void tend_subject(struct subject *subject, int64_t now)
{
    if (subject->streams > 0)
        subject->wanted_at = now;
    if (is_orphaned(subject, now) && !subject->stop) {
        log_say(LOG_SAY_INFO, "%s.%s: nobody waits any more; the fetch ends",
                subject->table->relation.schema, subject->table->relation.name);
        job_stop(subject);
    }
    promises_expire(&subject->promises);
    for (size_t i = 0; i < STAYS; i++)
        if (subject->stays[i].version != NULL && now >= subject->stays[i].until)
            end_stay(&subject->stays[i]);
    const struct version *version = subject->current;
    if (version == NULL || version->snapshot == NULL || subject->running || version->opens > 0 ||
        now < subject->lease_until || pthread_mutex_trylock(&version->snapshot->lock) != 0)
        return;
    bool holds = version->snapshot->held != NULL;
    pthread_mutex_unlock(&version->snapshot->lock);
    if (holds)
        snapshot_let_go(version->snapshot);
}

static void each_subject(struct mount *mount, void (*visit)(struct subject *, int64_t))
{
    int64_t now = clock_ms();
    for (int i = 0; i < TABLE_BUCKETS; i++)
        for (struct table *table = mount->tables[i]; table != NULL; table = table->next)
            for (int k = 0; k < SUBJECT_COUNT; k++)
                visit(&table->subjects[k], now);
}

void table_tend(struct mount *mount) { each_subject(mount, tend_subject); }

static void stop_subject(struct subject *subject, int64_t now)
{
    (void)now;
    if (subject->running)
        job_stop(subject);
}

void table_stop_all(struct mount *mount) { each_subject(mount, stop_subject); }
