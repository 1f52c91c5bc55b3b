#include "fs/tables/job_parts.h"

#include "fs/base/log.h"
#include "fs/views/manifest.h"
#include "fs/views/view.h"

#include <errno.h>

/* Does not save a version of the past: the record is that of the current one. */
static void save(const struct subject *subject, const struct version *version, const char *what)
{
    struct snapshot *snapshot = version->snapshot;
    if (version == subject->current && snapshot_save(snapshot) < 0)
        log_say(LOG_SAY_DEBUG, "the %s of %s.%s find no room in the cache", what,
                snapshot->relation.schema, snapshot->relation.name);
}

int job_measure_format(struct subject *subject, struct version *version, int format,
                       struct prefill *prefill, struct error *error)
{
    struct snapshot *snapshot = version->snapshot;
    const struct view view = view_whole(snapshot, formats[format]);
    if (view_face(&view)->refused < 0 || view_face(&view)->measured)
        return 0;
    if (!formats[format]->possible(snapshot->schema))
        return error_set(error, -EIO, "%s was left out of what has been fetched",
                         formats[format]->name);
    int rc = fetch_measure(&subject->table->mount->place, &view, &subject->stop, prefill,
                           &subject->progress, error);
    if (rc == -EBADMSG || rc == -EDOM) { /* trying again would not help */
        rc = view_refuse(&view, rc == -EDOM ? rc : -EIO, error->text);
        if (rc == 0)
            job_log_refused(snapshot, format);
    }
    if (rc == 0)
        save(subject, version, "sizes");
    return rc;
}

static int hash_views(struct subject *subject, struct version *version, struct error *error)
{
    struct mount *mount = subject->table->mount;
    struct snapshot *snapshot = version->snapshot;
    unsigned wanted = 0;
    uint64_t bytes = 0;
    for (int i = 0; i < FORMAT_COUNT; i++) {
        const struct face *face = snapshot_face(snapshot, formats[i]);
        if (mount->options->listed_formats & 1U << i && face->refused == 0 && !face->hashed) {
            wanted |= 1U << i;
            bytes += face->size;
        }
    }
    progress_stage(&subject->progress, STAGE_MEASURING, bytes);
    for (int i = 0; i < FORMAT_COUNT; i++) {
        const struct view view = view_whole(snapshot, formats[i]);
        struct hash128 hash;
        if (!(wanted & 1U << i))
            continue;
        int rc = view_hash(mount->bodies, &view, &subject->stop, &hash, error);
        if (rc < 0)
            return rc;
        subject->progress.done += view_face(&view)->size;
    }
    save(subject, version, "hashes");
    return 0;
}

int job_make_manifest(struct subject *subject, struct version *version, bool hashes,
                      struct buffer *out, struct error *error)
{
    unsigned listed = subject->table->mount->options->listed_formats;
    int rc = 0;
    for (int i = 0; rc == 0 && i < FORMAT_COUNT; i++)
        if (listed & 1U << i)
            rc = job_measure_format(subject, version, i, NULL, error);
    if (rc == 0 && hashes)
        rc = hash_views(subject, version, error);
    return rc < 0 ? rc : manifest_write(version->snapshot, listed, hashes, out);
}
