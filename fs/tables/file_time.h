/* The last mtime that the files of a subject's name had, also across mounts.
 *
 * A table may be dropped and created anew under its name: tools see one file that has changed, and
 * its time must not go back.
 */
#ifndef FS_TABLES_FILE_TIME_H
#define FS_TABLES_FILE_TIME_H

#include "fs/tables/table.h"

/* 0: not known. */
int64_t file_time_load(const struct subject *subject);
void file_time_save(const struct subject *subject, int64_t mtime);

/* Deletes times that are not needed any more, because a file made now gets a later one anyway. Any
 * thread. */
void file_time_sweep(struct store *store, int64_t now);

#endif
