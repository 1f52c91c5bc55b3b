#include "fs/tables/table.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "fs/tables/listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { STAYS = sizeof((struct subject *)NULL)->stays / sizeof(struct stay) };

static int set_names(struct table *table, const struct relation *relation)
{
    char *schema = strdup(relation->schema), *name = strdup(relation->name);
    char *statement = relation->statement != NULL ? strdup(relation->statement) : NULL;
    if (schema == NULL || name == NULL || (statement == NULL) != (relation->statement == NULL)) {
        free(schema);
        free(name);
        free(statement);
        return -ENOMEM;
    }
    free((char *)table->relation.schema);
    free((char *)table->relation.name);
    free((char *)table->relation.statement);
    table->relation = *relation;
    table->relation.schema = schema;
    table->relation.name = name;
    table->relation.statement = statement;
    return 0;
}

struct subject *table_next_subject(struct table *table, const struct subject *subject)
{
    const struct subject *last = &table->subjects[SUBJECT_COUNT - 1];
    if (subject == NULL)
        return &table->subjects[0];
    if (subject == last)
        return table->selections;
    return subject->columns != NULL ? subject->next : (struct subject *)subject + 1;
}

/* A running job reads the names: it learns of a rename from the server, and fails. */
static bool has_running(struct table *table)
{
    struct subject *subject = table_next_subject(table, NULL);
    while (subject != NULL && !subject->running)
        subject = table_next_subject(table, subject);
    return subject != NULL;
}

struct table *table_get(struct mount *mount, const struct relation *relation)
{
    struct table **bucket = &mount->tables[relation->oid % TABLE_BUCKETS];
    for (struct table *table = *bucket; table != NULL; table = table->next) {
        if (table->relation.oid != relation->oid)
            continue;
        bool renamed = strcmp(table->relation.name, relation->name) != 0 ||
                       strcmp(table->relation.schema, relation->schema) != 0;
        if (renamed && !has_running(table) && set_names(table, relation) < 0)
            return NULL;
        return table;
    }
    struct table *table = calloc(1, sizeof *table);
    if (table == NULL || set_names(table, relation) < 0) {
        free(table);
        return NULL;
    }
    table->mount = mount;
    pthread_mutex_init(&table->sweeping, NULL);
    for (int i = 0; i < SUBJECT_COUNT; i++) {
        table->subjects[i].table = table;
        table->subjects[i].kind = i;
    }
    table->next = *bucket;
    *bucket = table;
    mount->table_count++;
    return table;
}

static void clear_subject(struct subject *subject)
{
    version_unref(subject->current);
    subject_unwant_all(subject);
    promises_clear(&subject->promises);
    for (size_t k = 0; k < STAYS; k++)
        version_unref(subject->stays[k].version);
}

static void free_selection(struct subject *subject)
{
    clear_subject(subject);
    free(subject->columns);
    free(subject);
}

void table_free(struct table *table)
{
    for (int i = 0; i < SUBJECT_COUNT; i++)
        clear_subject(&table->subjects[i]);
    while (table->selections != NULL) {
        struct subject *next = table->selections->next;
        free_selection(table->selections);
        table->selections = next;
    }
    free((char *)table->relation.schema);
    free((char *)table->relation.name);
    free((char *)table->relation.statement);
    pthread_mutex_destroy(&table->sweeping);
    free(table);
}

static bool subject_is_used(const struct subject *subject)
{
    return subject->running || subject->nodes > 0 || subject->opens > 0 ||
           subject->waiting.first != NULL;
}

static bool is_used(struct table *table)
{
    struct subject *subject = table_next_subject(table, NULL);
    while (subject != NULL && !subject_is_used(subject))
        subject = table_next_subject(table, subject);
    return subject != NULL;
}

/* Any user can name any number of lists: those that nothing uses make room. Whether there were
 * such. */
static bool free_unused_of(struct table *table)
{
    bool freed = false;
    for (struct subject **at = &table->selections; *at != NULL;) {
        struct subject *subject = *at;
        if (subject_is_used(subject)) {
            at = &subject->next;
            continue;
        }
        *at = subject->next;
        free_selection(subject);
        freed = true;
    }
    return freed;
}

bool table_selections_full(struct table *table, struct error *why)
{
    int used = 0;
    for (const struct subject *known = table->selections; known != NULL; known = known->next)
        used += subject_is_used(known);
    if (used >= SELECTIONS_AT_MOST)
        error_set(why, -ENOMEM,
                  "%d lists of columns are in use, no more can be: close files, or select fewer",
                  used);
    return used >= SELECTIONS_AT_MOST;
}

struct subject *table_selection(struct table *table, const char *columns)
{
    int count = 0;
    for (struct subject *known = table->selections; known != NULL; known = known->next, count++)
        if (strcmp(known->columns, columns) == 0)
            return known;
    if (count >= SELECTIONS_AT_MOST && !free_unused_of(table)) {
        struct error why = {""};
        table->mount->crowded = true;
        if (table_selections_full(table, &why))
            log_say(LOG_SAY_ERROR, "%s.%s/select: %s", table->relation.schema, table->relation.name,
                    why.text);
        return NULL;
    }
    struct subject *subject = calloc(1, sizeof *subject);
    char *copy = strdup(columns);
    if (subject == NULL || copy == NULL) {
        free(subject);
        free(copy);
        return NULL;
    }
    subject->table = table;
    subject->kind = SUBJECT_ROWS;
    subject->columns = copy;
    subject->wanted_at = clock_ms();
    subject->next = table->selections;
    table->selections = subject;
    return subject;
}

/* For a while it is known why it has failed, and what somebody was told of it. */
static bool is_done_with(const struct subject *subject, int64_t now)
{
    enum { IDLE_MS = 60000 };
    return !subject_is_used(subject) && now >= subject->lease_until &&
           now - subject->wanted_at > IDLE_MS && subject->promises.count == 0;
}

static void free_idle_of(struct table *table, int64_t now)
{
    for (struct subject **at = &table->selections; *at != NULL;) {
        struct subject *subject = *at;
        if (!is_done_with(subject, now)) {
            at = &subject->next;
            continue;
        }
        *at = subject->next;
        free_selection(subject);
    }
}

void table_free_idle(struct mount *mount)
{
    int64_t now = clock_ms();
    for (int i = 0; i < TABLE_BUCKETS; i++)
        for (struct table *table = mount->tables[i]; table != NULL; table = table->next)
            free_idle_of(table, now);
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

bool subject_open_view(struct subject *subject, struct version_view *view)
{
    bool first = view->opened != subject->refreshes + 1;
    view->opened = subject->refreshes + 1;
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

void subject_unwant(struct subject *subject, struct version *version)
{
    struct version **at = &subject->wanted;
    while (*at != NULL && *at != version)
        at = &(*at)->next_wanted;
    if (*at == NULL)
        return;
    *at = version->next_wanted;
    version->next_wanted = NULL;
    version_want_nothing(version);
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

/* Whether somebody may open a version, and another one than this (NULL: any), without the server
 * being asked before. */
static bool may_be_opened(const struct subject *subject, const struct version *but)
{
    int64_t now = clock_ms();
    bool may = promises_hold(&subject->promises, but);
    for (size_t i = 0; i < STAYS && !may; i++) {
        const struct stay *stay = &subject->stays[i];
        may = stay->version != NULL && stay->version != but && now < stay->until;
    }
    return may || (now < subject->lease_until && subject->current != but);
}

/* Whether all row groups that are needed can be read again in any case: from the read point that
 * the only version in use holds. */
static bool can_be_read_again(const struct subject *rows)
{
    const struct version *current = rows->current;
    if (current == NULL || current->snapshot == NULL || rows->opens != current->opens ||
        may_be_opened(rows, current))
        return false;
    pthread_mutex_lock(&current->snapshot->lock);
    bool held = current->snapshot->held != NULL && crew_is_open(current->snapshot->held);
    pthread_mutex_unlock(&current->snapshot->lock);
    return held;
}

static bool needs_groups(const struct subject *subject)
{
    return subject->kind == SUBJECT_ROWS &&
           (subject->running ||
            ((subject->opens > 0 || may_be_opened(subject, NULL)) && !can_be_read_again(subject)));
}

bool table_needs_groups(struct mount *mount, uint32_t relation)
{
    bool used = false;
    pthread_mutex_lock(&mount->lock);
    struct table *table = mount->tables[relation % TABLE_BUCKETS];
    while (table != NULL && table->relation.oid != relation)
        table = table->next;
    struct subject *subject = table != NULL ? table_next_subject(table, NULL) : NULL;
    for (; subject != NULL && !used; subject = table_next_subject(table, subject))
        used = needs_groups(subject);
    pthread_mutex_unlock(&mount->lock);
    return used;
}

void subject_tend(struct subject *subject, int64_t now)
{
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

void table_each_subject(struct mount *mount, void (*visit)(struct subject *subject, int64_t now))
{
    int64_t now = clock_ms();
    for (int i = 0; i < TABLE_BUCKETS; i++)
        for (struct table *table = mount->tables[i]; table != NULL; table = table->next)
            for (struct subject *subject = table_next_subject(table, NULL); subject != NULL;
                 subject = table_next_subject(table, subject))
                visit(subject, now);
}
