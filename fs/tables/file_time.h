/* The last time (mtime) that the files of a subject's name had, also across mounts.
 *
 * A table may be dropped and made anew under its name: for tools that is one file that has changed,
 * and its time must not go back.
 */
#ifndef FS_TABLES_FILE_TIME_H
#define FS_TABLES_FILE_TIME_H

#include "fs/tables/table.h"

/* 0: not known. */
int64_t file_time_load(const struct subject *subject);
void file_time_save(const struct subject *subject, int64_t mtime);

/* Deletes the times that say nothing any more, because what is made now is later anyway. Any
 * thread.
 */
void file_time_sweep(struct store *store, int64_t now);

#endif
