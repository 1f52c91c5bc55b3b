#include "fs/tree/control.h"

#include "codec/clock.h"
#include "codec/json_text.h"
#include "fs/base/log.h"
#include "fs/base/version.h"
#include "fs/tables/job.h"
#include "fs/tables/table.h"
#include "fs/tree/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

const char *const control_names[] = {"status.json", "metrics", "version", "log", NULL};

static uint64_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm != NULL) {
        if (fscanf(statm, "%llu %llu", &size, &resident) != 2)
            resident = 0;
        fclose(statm);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int put_string(struct buffer *out, const char *key, const char *value)
{
    int rc = buffer_printf(out, "  \"%s\": ", key);
    if (rc == 0)
        rc = json_words(out, value);
    return rc < 0 ? rc : buffer_append_text(out, ",\n");
}

/* Negative: nobody knows. */
static int put_estimate(struct buffer *out, const char *key, double value)
{
    return value < 0 ? buffer_printf(out, ", \"%s\": null", key)
                     : buffer_printf(out, ", \"%s\": %.1f", key, value);
}

/* The beginning of an element of a list. */
static int put_relation(struct buffer *out, bool first, const char *schema, const char *name)
{
    int rc = buffer_append_text(out, first ? "\n    {\"schema\": " : ",\n    {\"schema\": ");
    if (rc == 0)
        rc = json_words(out, schema);
    if (rc == 0)
        rc = buffer_append_text(out, ", \"name\": ");
    return rc < 0 ? rc : json_words(out, name);
}

static int put_moved(struct buffer *out, uint64_t rows, uint64_t bytes, uint64_t copied,
                     uint64_t kept)
{
    return buffer_printf(out,
                         ", \"rows\": %" PRIu64 ", \"bytes\": %" PRIu64
                         ", \"groups_copied\": %" PRIu64 ", \"groups_kept\": %" PRIu64,
                         rows, bytes, copied, kept);
}

static int put_holder(struct buffer *out, const struct lock_wait *wait)
{
    int rc = buffer_append_text(out, "{\"relation\": ");
    if (rc == 0)
        rc = json_words(out, wait->holder.relation);
    if (rc == 0)
        rc = buffer_printf(out, ", \"pid\": %d, \"application\": ", wait->holder.pid);
    if (rc == 0)
        rc = json_words(out, wait->holder.application);
    return rc < 0 ? rc
                  : buffer_printf(out, ", \"seconds\": %.1f}",
                                  (double)(clock_ms() - wait->since) / 1000);
}

/* The lock that the job waits for, if it does. */
static int put_waits_for(struct buffer *out, const struct subject *subject)
{
    struct lock_waits *waits = &subject->table->mount->lock_waits;
    const struct lock_wait *wait = job_lock_wait(subject);
    int rc = buffer_append_text(out, ", \"waits_for\": ");
    pthread_mutex_lock(&waits->lock);
    bool goes_on = wait != NULL && wait->since != 0;
    if (rc == 0)
        rc = goes_on ? put_holder(out, wait) : buffer_append_text(out, "null");
    pthread_mutex_unlock(&waits->lock);
    return rc;
}

static int put_lock_waits(struct lock_waits *waits, struct buffer *out)
{
    int rc = buffer_append_text(out, "  \"lock_waits\": [");
    pthread_mutex_lock(&waits->lock);
    const struct lock_wait *first = waits->first;
    for (const struct lock_wait *wait = first; rc == 0 && wait != NULL; wait = wait->next) {
        rc = put_relation(out, wait == first, wait->relation->schema, wait->relation->name);
        if (rc == 0)
            rc = buffer_printf(out, ", \"what\": \"%s\", \"waits_for\": ", wait->what);
        if (rc == 0)
            rc = put_holder(out, wait);
        if (rc == 0)
            rc = buffer_append_byte(out, '}');
    }
    pthread_mutex_unlock(&waits->lock);
    return rc < 0 ? rc : buffer_append_text(out, first == NULL ? "],\n" : "\n  ],\n");
}

static int put_job(const struct subject *subject, bool first, struct buffer *out)
{
    const char *what = subject->kind == SUBJECT_ROWS ? "rows" : "schema.sql";
    const struct relation *relation = &subject->table->relation;
    const struct progress *progress = &subject->progress;
    int64_t now = clock_ms();
    int rc = put_relation(out, first, relation->schema, relation->name);
    if (rc == 0)
        rc = buffer_printf(out, ", \"what\": \"%s\", \"stage\": \"%s\"", what,
                           progress_stage_name(progress));
    if (rc == 0)
        rc = put_moved(out, progress->rows, progress->bytes, progress->groups_copied,
                       progress->groups_kept);
    if (rc == 0)
        rc = put_estimate(out, "percent", progress_percent(progress));
    if (rc == 0)
        rc = put_estimate(out, "seconds", (double)(now - progress->began) / 1000);
    if (rc == 0)
        rc = put_estimate(out, "seconds_left", progress_seconds_left(progress, now));
    if (rc == 0)
        rc = put_waits_for(out, subject);
    if (rc == 0)
        rc = buffer_printf(out, ", \"gave_way\": %u", (unsigned)progress->gave_way);
    return rc < 0 ? rc : buffer_append_byte(out, '}');
}

/* The running subjects, one after another, from `after` on (NULL: the first); NULL: no more. */
static const struct subject *next_job(const struct mount *mount, const struct subject *after)
{
    const struct table *table = after != NULL ? after->table : NULL;
    int k = after != NULL ? after->kind + 1 : 0;
    size_t bucket = table != NULL ? table->relation.oid % TABLE_BUCKETS : 0;
    for (table = table != NULL ? table : mount->tables[0]; bucket < TABLE_BUCKETS;) {
        for (; table != NULL; table = table->next, k = 0)
            for (; k < SUBJECT_COUNT; k++)
                if (table->subjects[k].running)
                    return &table->subjects[k];
        table = ++bucket < TABLE_BUCKETS ? mount->tables[bucket] : NULL;
    }
    return NULL;
}

static int put_jobs(const struct mount *mount, struct buffer *out)
{
    int rc = buffer_append_text(out, "  \"jobs\": [");
    bool first = true;
    for (const struct subject *job = next_job(mount, NULL); rc == 0 && job != NULL;
         job = next_job(mount, job)) {
        rc = put_job(job, first, out);
        first = false;
    }
    return rc < 0 ? rc : buffer_append_text(out, first ? "],\n" : "\n  ],\n");
}

static int put_refresh(const struct refresh *refresh, bool first, struct buffer *out)
{
    struct tm tm;
    char at[32];
    strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&refresh->at, &tm));
    int rc = put_relation(out, first, refresh->schema, refresh->name);
    if (rc == 0)
        rc = buffer_printf(out, ", \"at\": \"%s\", \"seconds\": %.3f, \"result\": \"%s\"", at,
                           (double)refresh->ms / 1000, refresh_result_name(refresh->result));
    if (rc == 0)
        rc = put_moved(out, refresh->rows, refresh->bytes, refresh->groups_copied,
                       refresh->groups_kept);
    return rc < 0 ? rc : buffer_append_byte(out, '}');
}

static int put_refreshes(const struct refreshes *refreshes, struct buffer *out)
{
    size_t first = refreshes_first(refreshes);
    int rc = buffer_append_text(out, "  \"refreshes\": [");
    for (size_t i = first; rc == 0 && i < refreshes->count; i++)
        rc = put_refresh(&refreshes->kept[i % REFRESHES_KEPT], i == first, out);
    return rc < 0 ? rc : buffer_append_text(out, refreshes->count == 0 ? "],\n" : "\n  ],\n");
}

static size_t count_jobs(const struct mount *mount)
{
    size_t n = 0;
    for (const struct subject *job = next_job(mount, NULL); job != NULL; n++)
        job = next_job(mount, job);
    return n;
}

/* Everything that a person, or a test, asks of a running mount. */
static int write_status(struct mount *mount, struct buffer *out)
{
    const char *why;
    int rc = buffer_printf(out, "{\n  \"pid\": %d,\n", (int)getpid());
    if (rc == 0)
        rc = put_string(out, "version", VERSION);
    if (rc == 0)
        rc = put_string(out, "server", server_name(mount->server));
    if (rc == 0)
        rc = put_string(out, "mountpoint", mount->options->mountpoint);
    if (rc == 0)
        rc = put_string(out, "cache", store_path(mount->store));
    if (rc == 0)
        rc = buffer_printf(out, "  \"cache_slot\": %d,\n", store_slot(mount->store, &why));
    if (rc == 0)
        rc = put_jobs(mount, out);
    if (rc == 0)
        rc = put_lock_waits(&mount->lock_waits, out);
    if (rc == 0)
        rc = put_refreshes(&mount->refreshes, out);
    if (rc == 0)
        rc = put_string(out, "last_catalog_error", mount->catalog_error.text);
    return rc < 0
               ? rc
               : buffer_printf(
                     out,
                     "  \"uptime_seconds\": %" PRId64 ",\n  \"relations\": %zu,\n"
                     "  \"waiting_requests\": %zu,\n"
                     "  \"cache_bytes\": %" PRIu64 ",\n  \"cache_size\": %" PRIu64 ",\n"
                     "  \"rendered_bytes\": %" PRIu64 ",\n  \"memory\": %" PRIu64 ",\n"
                     "  \"resident_bytes\": %" PRIu64 "\n}\n",
                     (clock_ms() - mount->started_ms) / 1000, mount->catalog->relation_count,
                     mount->tree->parked_count, store_used(mount->store), store_limit(mount->store),
                     body_cache_used(mount->bodies), mount->options->memory, resident_bytes());
}

/* Prometheus' text format. */
static int write_metrics(struct mount *mount, struct buffer *out)
{
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } rows[] = {
        {"fetches_total", "counter", "tables fetched because they were new or had changed",
         mount->count.fetches},
        {"unchanged_total", "counter", "refreshes that found nothing changed",
         mount->count.unchanged},
        {"failures_total", "counter", "fetches that failed", mount->count.failures},
        {"rows_fetched_total", "counter", "rows received", mount->count.rows_fetched},
        {"bytes_fetched_total", "counter", "bytes of COPY received", mount->count.bytes_fetched},
        {"groups_fetched_total", "counter", "row groups received", mount->count.groups_fetched},
        {"groups_kept_total", "counter", "row groups that a refresh found unchanged and kept",
         mount->count.groups_kept},
        {"bodies_rendered_total", "counter", "row groups rendered for reads",
         body_cache_rendered(mount->bodies)},
        {"reads_total", "counter", "reads answered", mount->count.reads},
        {"bytes_read_total", "counter", "bytes read by users", mount->count.bytes_read},
        {"tries_total", "counter",
         "times that a request was tried: at once, and again where it waits", mount->count.tries},
        {"interrupted_total", "counter", "waiting requests whose caller was killed",
         mount->count.interrupted},
        {"catalog_reads_total", "counter", "times the catalog was read",
         mount->count.catalog_reads},
        {"queries_total", "counter", "questions of similarity search", mount->count.queries},
        {"query_failures_total", "counter", "those that were refused, or failed",
         mount->count.query_failures},
        {"tables", "gauge", "relations of which something is kept in memory",
         (uint64_t)mount->table_count},
        {"nodes", "gauge", "files and directories that the kernel, or something in them, needs",
         (uint64_t)mount->tree->node_count},
        {"query_sessions", "gauge", "sessions in query/",
         (uint64_t)mount->tree->query_session_count},
        {"query_conversations", "gauge", "files ask that are open",
         (uint64_t)mount->tree->ask_count},
        {"query_unread_bytes", "gauge", "answers of conversations that nobody has read yet",
         mount->tree->unread},
        {"query_written_bytes", "gauge", "questions and values that users have written",
         mount->written.bytes},
        {"query_result_bytes", "gauge", "answers kept", mount->tree->result_bytes},
        {"query_answer_bytes", "gauge", "answers in memory: kept, open, or waited for",
         mount->tree->answer_bytes},
        {"query_open_answer_bytes", "gauge", "of them, answers that are open",
         mount->tree->open_answer_bytes},
        {"jobs", "gauge", "tables that are being fetched or measured", count_jobs(mount)},
        {"waiting_requests", "gauge", "requests that wait for a job or the catalog",
         mount->tree->parked_count},
        {"open_streams", "gauge", "files open that are read while they are fetched",
         (uint64_t)mount->tree->streams},
        {"held_read_points", "gauge", "transactions kept open for what the cache has no room for",
         (uint64_t)held_count(&mount->held)},
        {"cache_bytes", "gauge", "row groups and indexes on disk", store_used(mount->store)},
        {"rendered_bytes", "gauge", "rendered text in memory", body_cache_used(mount->bodies)},
        {"waiting_text_bytes", "gauge", "rendered text that waits for its place in the page cache",
         mount->prefill_room.used},
        {"resident_bytes", "gauge", "resident memory", resident_bytes()},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof rows / sizeof *rows; i++)
        rc = buffer_printf(
            out, "# HELP pgvecfs_%s %s\n# TYPE pgvecfs_%s %s\npgvecfs_%s %" PRIu64 "\n",
            rows[i].name, rows[i].help, rows[i].name, rows[i].type, rows[i].name, rows[i].value);
    return rc;
}

int control_write(struct mount *mount, const char *name, struct buffer *out)
{
    if (strcmp(name, "status.json") == 0)
        return write_status(mount, out);
    if (strcmp(name, "metrics") == 0)
        return write_metrics(mount, out);
    if (strcmp(name, "version") == 0)
        return buffer_append_text(out, "pgvecfs " VERSION "\n");
    return strcmp(name, "log") == 0 ? log_show(out) : -ENOENT;
}
