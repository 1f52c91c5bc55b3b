/* schema.sql: the versions of a subject of DDL.
 *
 * Threads: the subject's job; without mount->lock.
 */
#ifndef FS_TABLES_SCHEMA_FILE_H
#define FS_TABLES_SCHEMA_FILE_H

#include "fs/rows/lock_line.h"
#include "fs/tables/table.h"

/* Call it once the store is open: loads the cache's secret, or makes it the first time. -EIO: it
 * cannot be made. */
MUST_CHECK int schema_file_prepare(struct mount *mount, struct error *error);

/* Why there is no schema.sql in this mount now; NULL: there is one. Called with mount->lock held.
 */
const char *schema_file_refusal(const struct mount *mount);

/* The version that an earlier mount has left; NULL: none. */
struct version *schema_file_load(struct subject *subject);

/* How far the attempts of a refresh are; {0} at first. */
struct schema_turn {
    struct lock_turn lock;
    bool for_text; /* it waits for the text of all (schema_text.h), not for a lock */
    int tries;
    int elsewhere; /* how often another server was met */
};

/* Gets the present version, as a new reference: `old` (nullable) if the DDL is the same. Errors: as
 * of ddl.h; -EINPROGRESS another client has a lock, or (`turn->for_text`) the text of all is being
 * made. Call it again when it is the turn of `turn->lock`, or when the text of all is no longer
 * being made; or at once when the subject's job is stopped. */
MUST_CHECK int schema_file_refresh(struct subject *subject, struct version *old,
                                   struct schema_turn *turn, struct version **out,
                                   struct error *error);

#endif
