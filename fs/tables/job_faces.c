#include "fs/tables/job_parts.h"

#include "fs/base/log.h"
#include "fs/views/manifest.h"
#include "fs/views/view.h"

#include <errno.h>
#include <string.h>

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
            version_log_refused(snapshot, format);
    }
    if (rc == 0)
        save(subject, version, "sizes");
    return rc;
}

/* ---- views that are no face ---- */

/* The last byte, which opening it may need: what an array ends with depends on its rows. */
static int find_last(struct mount *mount, const struct view *view, uint8_t *out,
                     struct error *error)
{
    struct view_bytes bytes = {0};
    uint64_t size = view_face(view)->size;
    int rc = size == 0 ? 0 : view_read(mount->bodies, view, size - 1, 1, true, &bytes, error);
    if (rc == 0 && bytes.size > 0)
        *out = *(const uint8_t *)bytes.pieces[bytes.count - 1].iov_base;
    view_bytes_clear(mount->bodies, &bytes);
    return rc;
}

static void log_refused_view(const struct view *view)
{
    const struct snapshot *snapshot = view->snapshot;
    log_say(LOG_SAY_ERROR, "%s.%s: no %s of a column: %s", snapshot->relation.schema,
            snapshot->relation.name, view->rendition.format->name, view_face(view)->reason);
}

int job_measure_view(struct subject *subject, const struct view *view, uint8_t *last,
                     struct error *error)
{
    struct mount *mount = subject->table->mount;
    int rc =
        view_face(view)->refused < 0 || view_face(view)->measured
            ? 0
            : fetch_measure(&mount->place, view, &subject->stop, NULL, &subject->progress, error);
    if (rc == -EBADMSG || rc == -EDOM) { /* trying again would not help */
        rc = view_refuse(view, -EIO, error->text);
        if (rc == 0)
            log_refused_view(view);
    }
    return rc == 0 && view_face(view)->measured ? find_last(mount, view, last, error) : rc;
}

void job_settle_view(struct version_view *wanted, uint8_t last)
{
    const struct face *face = view_face(&wanted->view);
    if (face->refused < 0) {
        wanted->state = FACE_FAILED;
        wanted->rc = face->refused;
        wanted->reason = face->reason != NULL ? strdup(face->reason) : NULL;
    } else if (face->measured) {
        wanted->state = FACE_READABLE;
        wanted->size = face->size;
        wanted->last = last;
    }
}

/* ---- the manifest ---- */

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
