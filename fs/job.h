/* The job of a subject: the only one that talks to the server for it. Called with mount->lock held.
 */
#ifndef FS_JOB_H
#define FS_JOB_H

#include "fs/table.h"

void job_start(struct subject *subject);
void job_stop(struct subject *subject);

#endif
