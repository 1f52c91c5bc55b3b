/* The steps of a subject's job, for fs/tables/job*.c alone:
 *
 *     job.c        the loop: what is wanted next, and what its outcome means for those that wait
 *     job_rows.c   a version of the rows: from the cache, from the whole table's, from the server
 *     job_faces.c  a version's faces: sizes, hashes, the manifest
 *
 * Threads: the job's, without mount->lock. Errors: those of fetch_table and fetch_measure; -ENOMEM.
 */
#ifndef FS_TABLES_JOB_PARTS_H
#define FS_TABLES_JOB_PARTS_H

#include "fs/tables/job.h"

/* ---- job_rows.c ---- */

/* What an earlier mount has left of this relation; NULL: nothing that can be used. */
struct version *job_load_rows(struct subject *subject);

/* What the rows of the whole table, which are at hand, have of the subject's columns; NULL: they
 * must be fetched. */
struct version *job_choose_rows(struct subject *subject, const struct version *whole);

/* Asks the server. *out is a new reference: to `old` (nullable) if nothing has changed. `measure`:
 * a mask of formats. -EINPROGRESS: as of fetch_table. */
MUST_CHECK int job_refresh_rows(struct subject *subject, struct version *old, unsigned measure,
                                struct version **out, struct error *error);

/* Takes over what the version's snapshot knows of a format. With mount->lock held, if others know
 * the version. */
void job_settle_format(struct version *version, int format);

/* ---- job_faces.c ---- */

/* Measures a format of the version, and saves that. `prefill` is nullable. */
MUST_CHECK int job_measure_format(struct subject *subject, struct version *version, int format,
                                  struct prefill *prefill, struct error *error);

/* Measures a view of some columns; `last`: the last byte of the file, if it has one. */
MUST_CHECK int job_measure_view(struct subject *subject, const struct view *view, uint8_t *last,
                                struct error *error);
/* Takes over what is known of the view. With mount->lock held. */
void job_settle_view(struct version_view *wanted, uint8_t last);

/* Appends the manifest, for which all listed formats are measured, and, if `hashes`, hashed. */
MUST_CHECK int job_make_manifest(struct subject *subject, struct version *version, bool hashes,
                                 struct buffer *out, struct error *error);

#endif
