/* The numbers of statements (pgclient/statement.h), which stand in the places of oids: of tables, of
 * folders in the cache, of inodes. Each text that is set gets a number of its own, so that it is a
 * relation of its own.
 *
 * A number that has been given back is used again once its table has gone (leftovers.h).
 */
#ifndef FS_TABLES_STATEMENT_NUMBER_H
#define FS_TABLES_STATEMENT_NUMBER_H

#include "fs/tables/mount.h"

/* Takes a number; the cache has nothing of it. It takes mount->lock, and waits for the disk. -ENOSPC:
 * all are taken, or have tables that are still used. */
MUST_CHECK int statement_number_take(struct mount *mount, uint32_t *out);

/* The relation of the number is none any more. With mount->lock; 0 is fine. */
void statement_number_give(struct mount *mount, uint32_t number);

/* Drops what the cache has of numbers that nothing uses. It takes mount->lock, and waits for the disk.
 */
void statement_number_sweep(struct mount *mount);

#endif
