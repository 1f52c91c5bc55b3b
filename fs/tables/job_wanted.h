/* What is wanted of the jobs of subjects: each call starts the job if it does not run.
 *
 * Threads: called with mount->lock held.
 */
#ifndef FS_TABLES_JOB_WANTED_H
#define FS_TABLES_JOB_WANTED_H

#include "fs/tables/table.h"

/* Wants a refresh, with this face of what it finds; -1: only the rows, no face. */
void job_want_refresh(struct subject *subject, int face);
/* The same, but not if a larger table than stat may fetch had to be copied: then it fails. */
void job_want_glance(struct subject *subject, int face);
/* Wants a face of the current version, or of a superseded one. */
void job_want_face(struct subject *subject, struct version *version, int face, enum need need);

/* The same of a view that is no face. */
void job_want_view(struct subject *subject, struct version *version, struct version_view *view);

/* The current version is in use: if the end of its lease is near, asks the server already now, so
 * that no request has to wait for that. */
void job_renew(struct subject *subject);

/* Ends jobs that no request waits for, and read points that are not needed. Called now and then. */
void job_tend_all(struct mount *mount);

/* Makes all jobs end soon; does not wait for them. */
void job_stop_all(struct mount *mount);

#endif
