/* What is wanted of the jobs of subjects: each starts the job, if it does not run.
 *
 * Threads: called with mount->lock held.
 */
#ifndef FS_TABLES_JOB_WANTED_H
#define FS_TABLES_JOB_WANTED_H

#include "fs/tables/table.h"

/* A refresh, with this face of what it finds; -1: none, only the rows are wanted. */
void job_want_refresh(struct subject *subject, int face);
/* A face of the current version, or of one that is superseded. */
void job_want_face(struct subject *subject, struct version *version, int face, enum need need);

/* The current version is in use: if the end of its lease is near the server is asked already now, so that nobody has to wait for it. */
void job_renew(struct subject *subject);

/* Ends jobs that nobody waits for, and read points that nobody needs. Called now and then. */
void job_tend_all(struct mount *mount);

/* Makes all jobs end soon; does not wait for them. */
void job_stop_all(struct mount *mount);

#endif
