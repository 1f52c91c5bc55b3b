#include "fs/tables/listing.h"

#include "codec/clock.h"
#include "fs/base/log.h"

#include <errno.h>
#include <stdlib.h>

static int compare_oids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool has_oid(const uint32_t *oids, size_t count, uint32_t oid)
{
    return count > 0 && bsearch(&oid, oids, count, sizeof *oids, compare_oids) != NULL;
}

/* What is made from a catalog that has been read. */
struct prepared {
    struct catalog *catalog; /* NULL: none has been read, because the last one holds */
    struct partitions partitions;
    uint32_t *oids;
};

static int list_oids(const struct catalog *catalog, uint32_t **out)
{
    uint32_t *oids = malloc((catalog->relation_count + 1) * sizeof *oids);
    if (oids == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < catalog->relation_count; i++)
        oids[i] = catalog->relations[i].oid;
    qsort(oids, catalog->relation_count, sizeof *oids, compare_oids);
    *out = oids;
    return 0;
}

/* A partition whose parent the role may not read is put into its schema: otherwise no path would
 * lead to it. */
static void adopt_orphans(struct catalog *catalog, const uint32_t *oids)
{
    for (size_t i = 0; i < catalog->relation_count; i++) {
        struct relation *relation = &catalog->relations[i];
        if (relation->parent != 0 && !has_oid(oids, catalog->relation_count, relation->parent))
            relation->parent = 0;
    }
}

const struct relation listing_relations = {.schema = "pg_catalog", .name = "pg_class"};

/* Takes the catalog. */
static int prepare(struct catalog *catalog, struct prepared *out)
{
    uint32_t *oids = NULL;
    int rc = list_oids(catalog, &oids);
    if (rc == 0) {
        adopt_orphans(catalog, oids);
        rc = partitions_make(catalog, &out->partitions);
    }
    if (rc < 0) {
        free(oids);
        catalog_free(catalog);
        return rc;
    }
    out->oids = oids;
    out->catalog = catalog;
    return 0;
}

struct asking {
    struct mount *mount;
    const char *known; /* nullable */
    struct prepared prepared;
    char *mark;
};

static int ask_now(void *context, struct session *session, struct error *error)
{
    struct asking *asking = context;
    struct mount *mount = asking->mount;
    struct catalog *catalog;
    char *mark;
    int rc = catalog_mark(session, &mark, error);
    if (rc < 0)
        return rc;
    /* Several hosts, or a proxy, may lead to another cluster. */
    if (mount->database != 0)
        rc = mark_check(mark, mount->system_id, mount->database, error);
    if (rc == 0 && (asking->known == NULL || !mark_holds(asking->known, mark))) {
        rc = catalog_read(session, &mount->scope, &catalog, error);
        mount->count.catalog_reads++;
        if (rc == 0)
            rc = prepare(catalog, &asking->prepared);
    }
    if (rc < 0)
        free(mark);
    else
        asking->mark = mark;
    return rc;
}

/* Reads the mark, and the catalog, too, unless `known` is still the mark. */
static int ask(struct mount *mount, const char *known, struct prepared *out, char **mark,
               struct error *error)
{
    struct asking asking = {.mount = mount, .known = known};
    struct lock_question question = {&listing_relations, "catalog", ask_now, &asking};
    int rc = lock_wait_ask(&mount->lock_waits, mount->pool, &question, NULL, error);
    if (rc == 0) {
        *out = asking.prepared;
        *mark = asking.mark;
    }
    return rc;
}

static int compare(const struct relation *relation, const char *schema, const char *name)
{
    int order = strcmp(relation->schema, schema);
    return order != 0 ? order : strcmp(relation->name, name);
}

static const struct relation *find(const struct catalog *catalog, const char *schema,
                                   const char *name)
{
    size_t low = 0, high = catalog->relation_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&catalog->relations[middle], schema, name);
        if (order == 0)
            return &catalog->relations[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool has_schema(const struct catalog *catalog, const char *schema)
{
    for (size_t i = 0; i < catalog->schema_count; i++)
        if (strcmp(catalog->schemas[i], schema) == 0)
            return true;
    return false;
}

/* Whether a directory of the relation has gone: under this name, at this place, or one inside it.
 */
static bool has_lost(const struct catalog *now, const struct relation *before)
{
    const struct relation *found = find(now, before->schema, before->name);
    return found == NULL || found->parent != before->parent || found->kind != before->kind ||
           found->has_vectors < before->has_vectors;
}

/* Whether a relation or a name of the last catalog has gone. */
static bool lacks_some(const struct mount *mount, const struct prepared *prepared)
{
    const struct catalog *before = mount->catalog, *now = prepared->catalog;
    for (size_t i = 0; i < mount->oid_count; i++)
        if (!has_oid(prepared->oids, now->relation_count, mount->oids[i]))
            return true;
    for (size_t i = 0; i < before->relation_count; i++)
        if (has_lost(now, &before->relations[i]))
            return true;
    for (size_t i = 0; i < before->schema_count; i++)
        if (!has_schema(now, before->schemas[i]))
            return true;
    return false;
}

/* Takes over what a check has found; it had this number, and began at `asked`. */
static void take(struct mount *mount, const struct prepared *prepared, char *mark, unsigned number,
                 int64_t asked)
{
    if (prepared->catalog != NULL) {
        mount->catalog_lost |= mount->catalog == NULL || lacks_some(mount, prepared);
        partitions_clear(&mount->partitions);
        catalog_free(mount->catalog);
        free(mount->oids);
        mount->catalog = prepared->catalog;
        mount->partitions = prepared->partitions;
        mount->oids = prepared->oids;
        mount->oid_count = prepared->catalog->relation_count;
    }
    free(mount->catalog_mark);
    mount->catalog_mark = mark;
    mount->catalog_checked = asked;
    mount->catalog_answered = number;
    mount->catalog_error.text[0] = '\0';
}

int listing_start(struct mount *mount, struct error *error)
{
    struct prepared prepared;
    char *mark;
    int64_t asked = clock_ms();
    int rc = ask(mount, NULL, &prepared, &mark, error);
    if (rc < 0)
        return rc;
    take(mount, &prepared, mark, ++mount->catalog_asks, asked);
    catalog_is_mounted(mount->catalog, mount->pool);
    mount->system_id = mount->catalog->system_id;
    mount->database = mount->catalog->database;
    mount->born = mount->catalog->born;
    return 0;
}

static void run_check(void *argument)
{
    struct mount *mount = argument;
    pthread_mutex_lock(&mount->lock);
    while (mount->catalog_wanted && !mount->ending) {
        mount->catalog_wanted = false;
        unsigned number = ++mount->catalog_asks;
        char *known = mount->catalog_mark != NULL ? strdup(mount->catalog_mark) : NULL,
             *mark = NULL;
        pthread_mutex_unlock(&mount->lock);
        struct prepared prepared;
        struct error error = {""};
        int64_t asked = clock_ms();
        int rc = ask(mount, known, &prepared, &mark, &error);
        free(known);
        if (rc < 0)
            log_say(LOG_SAY_ERROR, "the catalog cannot be read: %s", error.text);
        pthread_mutex_lock(&mount->lock);
        if (rc == 0) {
            take(mount, &prepared, mark, number, asked);
        } else {
            mount->catalog_failures++;
            mount->catalog_rc = user_errno(rc);
            mount->catalog_error = error;
        }
        wait_call(&mount->waits, &mount->waiting);
    }
    mount->catalog_running = false;
    pthread_mutex_unlock(&mount->lock);
}

void listing_check(struct mount *mount)
{
    mount->catalog_wanted = true;
    if (mount->catalog_running)
        return;
    mount->catalog_running = waiters_add(mount->waiters, run_check, mount) == 0;
    if (!mount->catalog_running) {
        mount->catalog_failures++;
        mount->catalog_rc =
            error_set(&mount->catalog_error, -ENOMEM, "no memory to read the catalog");
    }
}

void listing_doubt(struct mount *mount)
{
    free(mount->catalog_mark);
    mount->catalog_mark = NULL;
    mount->catalog_checked = INT64_MIN / 2;
}

const struct relation *listing_find(const struct mount *mount, const char *schema, const char *name)
{
    return find(mount->catalog, schema, name);
}

bool listing_has_oid(const struct mount *mount, uint32_t oid)
{
    return oid < STATEMENT_NUMBERS ? mount->statements[oid]
                                   : has_oid(mount->oids, mount->oid_count, oid);
}

size_t listing_keep_gone(struct mount *mount, uint32_t *relations, size_t count)
{
    size_t gone = 0;
    pthread_mutex_lock(&mount->lock);
    for (size_t i = 0; i < count; i++)
        if (!listing_has_oid(mount, relations[i]))
            relations[gone++] = relations[i];
    pthread_mutex_unlock(&mount->lock);
    return gone;
}

bool listing_has_schema(const struct mount *mount, const char *schema)
{
    return has_schema(mount->catalog, schema);
}
