/* The job of a subject: only the job talks to the server for it. Called with mount->lock held. */
#ifndef FS_TABLES_JOB_H
#define FS_TABLES_JOB_H

#include "fs/tables/table.h"

void job_start(struct subject *subject);
void job_stop(struct subject *subject);

/* The lock wait of the subject's refresh; it goes on while `since` is set (mount->lock_waits.lock);
 * NULL: there is no refresh. */
const struct lock_wait *job_lock_wait(const struct subject *subject);

#endif
