#include "fs/tree/control.h"

#include "codec/clock.h"
#include "codec/json_writer.h"
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

/* Writes an estimate; negative: unknown. */
static void put_estimate(struct json_writer *json, const char *key, double value)
{
    if (value < 0)
        json_put_null(json, key);
    else
        json_put_fixed(json, key, value, 1);
}

/* Begins an element of a list. */
static void open_relation(struct json_writer *json, const char *schema, const char *name)
{
    json_open_object(json, NULL, JSON_ONE_LINE);
    json_put_words(json, "schema", schema);
    json_put_words(json, "name", name);
}

static void put_moved(struct json_writer *json, uint64_t rows, uint64_t bytes, uint64_t copied,
                      uint64_t kept)
{
    json_put_unsigned(json, "rows", rows);
    json_put_unsigned(json, "bytes", bytes);
    json_put_unsigned(json, "groups_copied", copied);
    json_put_unsigned(json, "groups_kept", kept);
}

static void put_holder(struct json_writer *json, const struct lock_wait *wait)
{
    json_open_object(json, "waits_for", JSON_ONE_LINE);
    json_put_words(json, "relation", wait->holder.relation);
    json_put_signed(json, "pid", wait->holder.pid);
    json_put_words(json, "application", wait->holder.application);
    json_put_fixed(json, "seconds", (double)(clock_ms() - wait->since) / 1000, 1);
    json_close(json);
}

/* Writes the lock that the job waits for, if it waits for one. */
static void put_waits_for(struct json_writer *json, const struct subject *subject)
{
    struct lock_waits *waits = &subject->table->mount->lock_waits;
    const struct lock_wait *wait = job_lock_wait(subject);
    pthread_mutex_lock(&waits->lock);
    if (wait != NULL && wait->since != 0)
        put_holder(json, wait);
    else
        json_put_null(json, "waits_for");
    pthread_mutex_unlock(&waits->lock);
}

static void put_lock_waits(struct json_writer *json, struct lock_waits *waits)
{
    json_open_array(json, "lock_waits", JSON_LINES);
    pthread_mutex_lock(&waits->lock);
    for (const struct lock_wait *wait = waits->first; wait != NULL; wait = wait->next) {
        open_relation(json, wait->relation->schema, wait->relation->name);
        json_put_words(json, "what", wait->what);
        put_holder(json, wait);
        json_close(json);
    }
    pthread_mutex_unlock(&waits->lock);
    json_close(json);
}

static void put_job(struct json_writer *json, const struct subject *subject)
{
    const struct relation *relation = &subject->table->relation;
    const struct progress *progress = &subject->progress;
    int64_t now = clock_ms();
    open_relation(json, relation->schema, relation->name);
    json_put_words(json, "what", subject->kind == SUBJECT_ROWS ? "rows" : "schema.sql");
    if (subject->columns != NULL)
        json_put_words(json, "columns", subject->columns);
    json_put_words(json, "stage", progress_stage_name(progress));
    put_moved(json, progress->rows, progress->bytes, progress->groups_copied,
              progress->groups_kept);
    put_estimate(json, "percent", progress_percent(progress));
    put_estimate(json, "seconds", (double)(now - progress->began) / 1000);
    put_estimate(json, "seconds_left", progress_seconds_left(progress, now));
    put_waits_for(json, subject);
    json_put_unsigned(json, "gave_way", (unsigned)progress->gave_way);
    json_close(json);
}

/* The running subjects, one after another, from `after` on (NULL: the first); NULL: no more. */
static const struct subject *next_job(const struct mount *mount, const struct subject *after)
{
    struct table *table = after != NULL ? after->table : NULL;
    const struct subject *subject = after;
    size_t bucket = table != NULL ? table->relation.oid % TABLE_BUCKETS : 0;
    for (table = table != NULL ? table : mount->tables[0]; bucket < TABLE_BUCKETS;) {
        for (; table != NULL; table = table->next)
            while ((subject = table_next_subject(table, subject)) != NULL)
                if (subject->running)
                    return subject;
        table = ++bucket < TABLE_BUCKETS ? mount->tables[bucket] : NULL;
    }
    return NULL;
}

static void put_jobs(struct json_writer *json, const struct mount *mount)
{
    json_open_array(json, "jobs", JSON_LINES);
    for (const struct subject *job = next_job(mount, NULL); job != NULL; job = next_job(mount, job))
        put_job(json, job);
    json_close(json);
}

static void put_refresh(struct json_writer *json, const struct refresh *refresh)
{
    struct tm tm;
    char at[32];
    strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&refresh->at, &tm));
    open_relation(json, refresh->schema, refresh->name);
    if (refresh->columns != NULL)
        json_put_words(json, "columns", refresh->columns);
    json_put_words(json, "at", at);
    json_put_fixed(json, "seconds", (double)refresh->ms / 1000, 3);
    json_put_words(json, "result", refresh_result_name(refresh->result));
    put_moved(json, refresh->rows, refresh->bytes, refresh->groups_copied, refresh->groups_kept);
    json_close(json);
}

static void put_refreshes(struct json_writer *json, const struct refreshes *refreshes)
{
    json_open_array(json, "refreshes", JSON_LINES);
    for (size_t i = refreshes_first(refreshes); i < refreshes->count; i++)
        put_refresh(json, &refreshes->kept[i % REFRESHES_KEPT]);
    json_close(json);
}

static size_t count_jobs(const struct mount *mount)
{
    size_t n = 0;
    for (const struct subject *job = next_job(mount, NULL); job != NULL; n++)
        job = next_job(mount, job);
    return n;
}

/* Writes all that a person, or a test, asks of a running mount. */
static int write_status(struct mount *mount, struct buffer *out)
{
    const char *why;
    struct json_writer json = {0};
    json_open_object(&json, NULL, JSON_LINES);
    json_put_signed(&json, "pid", getpid());
    json_put_words(&json, "version", VERSION);
    json_put_words(&json, "server", server_name(mount->server));
    json_put_words(&json, "mountpoint", mount->options->mountpoint);
    json_put_words(&json, "cache", store_path(mount->store));
    json_put_signed(&json, "cache_slot", store_slot(mount->store, &why));
    put_jobs(&json, mount);
    put_lock_waits(&json, &mount->lock_waits);
    put_refreshes(&json, &mount->refreshes);
    json_put_words(&json, "last_catalog_error", mount->catalog_error.text);
    json_put_signed(&json, "uptime_seconds", (clock_ms() - mount->started_ms) / 1000);
    json_put_unsigned(&json, "relations", mount->catalog->relation_count);
    json_put_unsigned(&json, "waiting_requests", mount->tree->parked_count);
    json_put_unsigned(&json, "cache_bytes", store_used(mount->store));
    json_put_unsigned(&json, "cache_size", store_limit(mount->store));
    json_put_unsigned(&json, "rendered_bytes", body_cache_used(mount->bodies));
    json_put_unsigned(&json, "memory", mount->options->memory);
    json_put_unsigned(&json, "resident_bytes", resident_bytes());
    json_close(&json);
    return json_end(&json, out);
}

/* Writes Prometheus' text format. */
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
        {"strips_stored_total", "counter",
         "columns of row groups put into the page cache before they were read",
         follow_stored(mount->follow)},
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
        {"row_questions_total", "counter", "questions for single rows, or for the keys of all",
         mount->count.row_questions},
        {"row_failures_total", "counter", "those that failed", mount->count.row_failures},
        {"tables", "gauge", "relations of which something is kept in memory",
         (uint64_t)mount->table_count},
        {"nodes", "gauge", "files and directories that the kernel, or something in them, needs",
         (uint64_t)mount->tree->node_count},
        {"query_sessions", "gauge", "sessions in query/",
         (uint64_t)mount->tree->query_session_count},
        {"statements", "gauge", "statements in .sql/", (uint64_t)mount->tree->user_statement_count},
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
