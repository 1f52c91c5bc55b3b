#include "fs/control.h"

#include "codec/json_text.h"
#include "fs/log.h"
#include "fs/table.h"
#include "fs/version.h"

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

static int put_job(const struct subject *subject, bool first, struct buffer *out)
{
    uint64_t rows = subject->progress.rows, bytes = subject->progress.bytes;
    int rc = buffer_append_text(out, first ? "\n    {\"schema\": " : ",\n    {\"schema\": ");
    if (rc == 0)
        rc = json_string(out, subject->table->relation.schema,
                         strlen(subject->table->relation.schema));
    if (rc == 0)
        rc = buffer_append_text(out, ", \"name\": ");
    if (rc == 0)
        rc = json_string(out, subject->table->relation.name, strlen(subject->table->relation.name));
    return rc < 0 ? rc
                  : buffer_printf(out, ", \"rows\": %" PRIu64 ", \"bytes\": %" PRIu64 "}", rows,
                                  bytes);
}

static int put_jobs(const struct mount *mount, struct buffer *out)
{
    int rc = buffer_append_text(out, "  \"jobs\": [");
    bool first = true;
    for (int i = 0; rc == 0 && i < TABLE_BUCKETS; i++)
        for (const struct table *table = mount->tables[i]; rc == 0 && table != NULL;
             table = table->next)
            for (int k = 0; rc == 0 && k < SUBJECT_COUNT; k++)
                if (table->subjects[k].running) {
                    rc = put_job(&table->subjects[k], first, out);
                    first = false;
                }
    return rc < 0 ? rc : buffer_append_text(out, first ? "],\n" : "\n  ],\n");
}

static int put_string(struct buffer *out, const char *key, const char *value)
{
    int rc = buffer_printf(out, "  \"%s\": ", key);
    if (rc == 0)
        rc = json_string(out, value, strlen(value));
    return rc < 0 ? rc : buffer_append_text(out, ",\n");
}

/* Everything that a person, or a test, asks of a running mount. */
static int write_status(struct mount *mount, struct buffer *out)
{
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
        rc = put_jobs(mount, out);
    if (rc == 0)
        rc = put_string(out, "last_catalog_error", mount->catalog_error.text);
    size_t parked = 0;
    for (const struct request *request = mount->parked; request != NULL; parked++)
        request = *(struct request *const *)request; /* its first member is the next one */
    return rc < 0
               ? rc
               : buffer_printf(out,
                               "  \"uptime_seconds\": %" PRId64 ",\n  \"relations\": %zu,\n"
                               "  \"waiting_requests\": %zu,\n"
                               "  \"cache_bytes\": %" PRIu64 ",\n  \"cache_size\": %" PRIu64 ",\n"
                               "  \"rendered_bytes\": %" PRIu64 ",\n  \"memory\": %" PRIu64 ",\n"
                               "  \"resident_bytes\": %" PRIu64 "\n}\n",
                               (clock_ms() - mount->started_ms) / 1000,
                               mount->catalog->relation_count, parked, store_used(mount->store),
                               store_limit(mount->store), body_cache_used(mount->bodies),
                               mount->options->memory, resident_bytes());
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
        {"reads_total", "counter", "reads answered", mount->count.reads},
        {"bytes_read_total", "counter", "bytes read by users", mount->count.bytes_read},
        {"interrupted_total", "counter", "waiting requests whose caller was killed",
         mount->count.interrupted},
        {"catalog_reads_total", "counter", "times the catalog was read",
         mount->count.catalog_reads},
        {"cache_bytes", "gauge", "row groups on disk", store_used(mount->store)},
        {"rendered_bytes", "gauge", "rendered text in memory", body_cache_used(mount->bodies)},
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
