#include "fs/listing.h"

#include "fs/log.h"
#include "fs/request.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int compare_oids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* A partition whose parent the role may not read stands in its schema, or nobody would find it. */
static int adopt_orphans(struct catalog *catalog)
{
    uint32_t *oids = malloc((catalog->relation_count + 1) * sizeof *oids);
    if (oids == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < catalog->relation_count; i++)
        oids[i] = catalog->relations[i].oid;
    qsort(oids, catalog->relation_count, sizeof *oids, compare_oids);
    for (size_t i = 0; i < catalog->relation_count; i++) {
        struct relation *relation = &catalog->relations[i];
        if (relation->parent != 0 && bsearch(&relation->parent, oids, catalog->relation_count,
                                             sizeof *oids, compare_oids) == NULL)
            relation->parent = 0;
    }
    free(oids);
    return 0;
}

/* What is made of a catalog that has been read. */
static int prepare(struct catalog *catalog, struct partitions *partitions)
{
    int rc = adopt_orphans(catalog);
    return rc < 0 ? rc : partitions_make(catalog, partitions);
}

/* What is to be read when somebody asks which relations there are. */
static const struct relation relations = {.schema = "pg_catalog", .name = "pg_class"};

/* Reads the mark, and the catalog too unless `known` is the mark still. *out stays NULL where it
 * is. */
static int ask(struct mount *mount, const char *known, struct catalog **out,
               struct partitions *partitions, char **mark, struct error *error)
{
    struct session *session;
    int rc = session_take(mount->pool, SESSION_SHORT, NULL, &session, error);
    if (rc < 0)
        return rc;
    struct lock_question question;
    lock_question_begin(&mount->lock_waits, &question, &relations, "catalog", session);
    *out = NULL;
    rc = catalog_mark(session, mark, error);
    /* Several hosts, or a proxy, may lead to another cluster. */
    if (rc == 0 && mount->database != 0 &&
        (rc = mark_check(*mark, mount->system_id, mount->database, error)) < 0)
        free(*mark);
    if (rc == 0 && (known == NULL || !mark_holds(known, *mark))) {
        rc = catalog_read(session, &mount->scope, out, error);
        mount->count.catalog_reads++;
        if (rc == 0 && (rc = prepare(*out, partitions)) < 0)
            catalog_free(*out);
        if (rc < 0)
            free(*mark);
    }
    lock_question_end(&mount->lock_waits, &question);
    session_give(session);
    return rc;
}

static void take(struct mount *mount, struct catalog *catalog, const struct partitions *partitions,
                 char *mark, int64_t asked)
{
    if (catalog != NULL) {
        partitions_clear(&mount->partitions);
        catalog_free(mount->catalog);
        mount->catalog = catalog;
        mount->partitions = *partitions;
    }
    free(mount->catalog_mark);
    mount->catalog_mark = mark;
    mount->catalog_checked = asked;
    mount->catalog_error.text[0] = '\0';
}

int listing_start(struct mount *mount, struct error *error)
{
    struct catalog *catalog;
    struct partitions partitions;
    char *mark;
    int64_t asked = clock_ms();
    int rc = ask(mount, NULL, &catalog, &partitions, &mark, error);
    if (rc < 0)
        return rc;
    take(mount, catalog, &partitions, mark, asked);
    mount->system_id = catalog->system_id;
    mount->database = catalog->database;
    mount->born = catalog->born;
    return 0;
}

static void run_check(void *argument)
{
    struct mount *mount = argument;
    pthread_mutex_lock(&mount->lock);
    while (mount->catalog_wanted && !mount->ending) {
        mount->catalog_wanted = false;
        char *known = mount->catalog_mark != NULL ? strdup(mount->catalog_mark) : NULL,
             *mark = NULL;
        pthread_mutex_unlock(&mount->lock);
        struct catalog *catalog = NULL;
        struct partitions partitions;
        struct error error = {""};
        int64_t asked = clock_ms();
        int rc = ask(mount, known, &catalog, &partitions, &mark, &error);
        free(known);
        if (rc < 0)
            log_say(LOG_SAY_ERROR, "the catalog cannot be read: %s", error.text);
        pthread_mutex_lock(&mount->lock);
        if (rc == 0) {
            take(mount, catalog, &partitions, mark, asked);
        } else {
            mount->catalog_failures++;
            mount->catalog_rc = user_errno(rc);
            mount->catalog_error = error;
        }
        request_retry_all(mount);
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
        mount->catalog_rc = -ENOMEM;
    }
}

void listing_doubt(struct mount *mount)
{
    free(mount->catalog_mark);
    mount->catalog_mark = NULL;
    mount->catalog_checked = INT64_MIN / 2;
}

static int compare(const struct relation *relation, const char *schema, const char *name)
{
    int order = strcmp(relation->schema, schema);
    return order != 0 ? order : strcmp(relation->name, name);
}

const struct relation *listing_find(const struct mount *mount, const char *schema, const char *name)
{
    const struct catalog *catalog = mount->catalog;
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

bool listing_has_schema(const struct mount *mount, const char *schema)
{
    const struct catalog *catalog = mount->catalog;
    for (size_t i = 0; i < catalog->schema_count; i++)
        if (strcmp(catalog->schemas[i], schema) == 0)
            return true;
    return false;
}
