#include "fs/tables/job_parts.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "fs/rows/snapshot_choose.h"
#include "fs/rows/snapshot_records.h"
#include "fs/tables/file_time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void job_settle_format(struct version *version, int format)
{
    const struct face *face = snapshot_face(version->snapshot, formats[format]);
    if (face->refused < 0) {
        version->state[format] = FACE_FAILED;
        version->rc[format] = user_errno(face->refused);
        free(version->reason[format]);
        version->reason[format] = face->reason != NULL ? strdup(face->reason) : NULL;
    } else if (face->measured) {
        version->size[format] = face->size;
        version->state[format] = FACE_READABLE;
    }
}

/* The manifest tells of the listed formats. */
static void settle_times(struct version *version)
{
    const struct snapshot *snapshot = version->snapshot;
    int64_t *manifest = &version->renewed[FACE_MANIFEST];
    for (int i = 0; i < FORMAT_COUNT; i++) {
        version->renewed[i] = snapshot->renewed[i];
        if (version->mount->options->listed_formats & 1U << i && snapshot->renewed[i] > *manifest)
            *manifest = snapshot->renewed[i];
    }
}

/* Takes the reference to the snapshot. */
static struct version *version_of_rows(struct mount *mount, struct snapshot *snapshot)
{
    struct version *version = calloc(1, sizeof *version);
    if (version == NULL) {
        snapshot_unref(snapshot);
        return NULL;
    }
    version->refs = 1;
    version->mount = mount;
    version->snapshot = snapshot;
    version->serial = snapshot->serial;
    version->mtime = snapshot->mtime;
    settle_times(version);
    for (int i = 0; i < FORMAT_COUNT; i++)
        job_settle_format(version, i);
    return version;
}

/* Before anything of it is fetched: what has come and is in no record yet must stay. */
static void sweep_once(struct table *table)
{
    pthread_mutex_lock(&table->sweeping);
    if (!table->swept)
        snapshot_sweep(table->mount->store, table->relation.oid);
    table->swept = true;
    pthread_mutex_unlock(&table->sweeping);
}

struct version *job_load_rows(struct subject *subject)
{
    struct mount *mount = subject->table->mount;
    struct snapshot *snapshot = NULL;
    int rc = subject->table->relation.kind == RELATION_STATEMENT
                 ? -ENOENT /* what there may be is of another one, of a mount before */
                 : snapshot_load_columns(mount->store, subject->table->relation.oid,
                                         subject->columns, &snapshot);
    if (rc < 0 && rc != -ENOENT)
        log_say(LOG_SAY_ERROR,
                "%s.%s: its record in the cache cannot be used (%s); it is fetched again",
                subject->table->relation.schema, subject->table->relation.name, strerror(-rc));
    sweep_once(subject->table);
    if (snapshot != NULL && snapshot_latest(snapshot) > snapshot->mtime)
        file_time_save(subject, snapshot_latest(snapshot));
    struct version *version = snapshot != NULL ? version_of_rows(mount, snapshot) : NULL;
    for (int i = 0; version != NULL && i < FORMAT_COUNT; i++)
        if (version->state[i] == FACE_FAILED)
            version->unsaid |= 1U << i;
    return version;
}

struct version *job_choose_rows(struct subject *subject, const struct version *whole)
{
    struct mount *mount = subject->table->mount;
    struct snapshot *chosen;
    int rc = snapshot_choose(whole->snapshot, subject->columns, file_time_load(subject),
                             &subject->stop, &chosen);
    if (rc < 0)
        return NULL; /* they are fetched */
    file_time_save(subject, chosen->mtime);
    return version_of_rows(mount, chosen);
}

/* Logs each reason once, with the first of the formats that need the same. */
static void log_all_refused(const struct snapshot *snapshot)
{
    for (int i = 0; i < FORMAT_COUNT; i++) {
        const struct face *face = snapshot_face(snapshot, formats[i]);
        bool said = face->refused == 0;
        for (int before = 0; !said && before < i; before++) {
            const struct face *other = snapshot_face(snapshot, formats[before]);
            said = other->refused == face->refused && other->reason != NULL &&
                   face->reason != NULL && strcmp(other->reason, face->reason) == 0;
        }
        if (!said)
            version_log_refused(snapshot, i);
    }
}

/* A refresh that has only found the marks to be equal is not noted. */
static void note_refresh(struct subject *subject, enum refresh_result result)
{
    struct mount *mount = subject->table->mount;
    const struct progress *progress = &subject->progress;
    if (result == REFRESH_UNCHANGED && progress->stage == STAGE_WAITING)
        return;
    pthread_mutex_lock(&mount->lock);
    const struct refresh refresh = {.schema = (char *)subject->table->relation.schema,
                                    .name = (char *)subject->table->relation.name,
                                    .columns = subject->columns,
                                    .at = time(NULL),
                                    .ms = clock_ms() - progress->began,
                                    .result = result,
                                    .rows = progress->rows,
                                    .bytes = progress->bytes,
                                    .groups_copied = progress->groups_copied,
                                    .groups_kept = progress->groups_kept};
    refreshes_add(&mount->refreshes, &refresh);
    pthread_mutex_unlock(&mount->lock);
}

/* The formats that the rows of this version have kept from being files: of the next one it is known
 * at once whether they still do, so that a directory need not list such a file in the meantime. */
static unsigned formless_formats(const struct version *version)
{
    unsigned mask = 0;
    for (int i = 0; version != NULL && version->snapshot != NULL && i < FORMAT_COUNT; i++)
        if (snapshot_face(version->snapshot, formats[i])->refused == -EDOM)
            mask |= 1U << i;
    return mask;
}

/* If that fails, a request for the file finds it out. */
static void measure_formless(struct subject *subject, unsigned mask, struct version *fresh)
{
    struct error error = {""};
    for (int i = 0; i < FORMAT_COUNT; i++) {
        if (!(mask & 1U << i) || !formats[i]->possible(fresh->snapshot->schema) ||
            fresh->state[i] != FACE_UNKNOWN)
            continue;
        if (job_measure_format(subject, fresh, i, NULL, &error) == 0)
            job_settle_format(fresh, i);
        if (fresh->state[i] == FACE_FAILED && snapshot_save(fresh->snapshot) < 0)
            log_say(LOG_SAY_DEBUG, "a refusal finds no room in the cache");
    }
}

int job_refresh_rows(struct subject *subject, struct version *old, unsigned measure,
                     struct version **out, struct error *error)
{
    struct mount *mount = subject->table->mount;
    struct snapshot *fresh;
    fetch_choose(subject->fetch, subject->columns);
    if (old == NULL)
        fetch_after(subject->fetch, file_time_load(subject));
    int rc =
        fetch_table(subject->fetch, &subject->table->relation, old != NULL ? old->snapshot : NULL,
                    measure | formless_formats(old), &fresh, error);
    if (rc == -EINPROGRESS)
        return rc;
    mount->count.rows_fetched += subject->progress.rows;
    mount->count.bytes_fetched += subject->progress.bytes;
    mount->count.groups_fetched += subject->progress.groups_copied;
    mount->count.groups_kept += subject->progress.groups_kept;
    if (rc < 0) {
        note_refresh(subject, rc == -EINTR ? REFRESH_STOPPED : REFRESH_FAILED);
        return rc;
    }
    bool same = old != NULL && fresh->serial == old->snapshot->serial;
    note_refresh(subject, old == NULL ? REFRESH_NEW : same ? REFRESH_UNCHANGED : REFRESH_CHANGED);
    if (same)
        mount->count.unchanged++;
    else
        mount->count.fetches++;
    if (same && fresh == old->snapshot) {
        snapshot_unref(fresh);
        *out = version_ref(old);
        return 0;
    }
    const struct feed_ids *made_of = fetch_made_of(subject->fetch);
    file_time_save(subject, snapshot_latest(fresh));
    log_all_refused(fresh);
    if (fresh->children != NULL && fresh->children[0] != '\0')
        log_say(LOG_SAY_INFO, "%s.%s: tables that inherit from it have rows of their own: %s",
                fresh->relation.schema, fresh->relation.name, fresh->children);
    *out = version_of_rows(mount, fresh);
    if (*out == NULL)
        return error_set(error, -ENOMEM, "no memory");
    (*out)->made_of = *made_of;
    measure_formless(subject, formless_formats(old), *out);
    return 0;
}
