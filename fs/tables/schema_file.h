/* schema.sql: the versions of a subject of DDL.
 *
 * Threads: the subject's job; without mount->lock.
 */
#ifndef FS_TABLES_SCHEMA_FILE_H
#define FS_TABLES_SCHEMA_FILE_H

#include "fs/rows/lock_line.h"
#include "fs/tables/table.h"

/* Once the store is open: loads the cache's secret, made once. -EIO: it cannot be made. */
MUST_CHECK int schema_file_prepare(struct mount *mount, struct error *error);

/* Why there is no schema.sql in this mount now; NULL: there is. Called with mount->lock held. */
const char *schema_file_refusal(const struct mount *mount);

/* The version that an earlier mount has left; NULL: none. */
struct version *schema_file_load(struct subject *subject);

/* What a refresh has been tried for; {0} at first. */
struct schema_turn {
    struct lock_turn lock;
    bool for_text; /* it waits for the text of all (schema_text.h), not for a lock */
    int tries;
    int elsewhere; /* times that another server was met */
};

/* The version of now, as a new reference: `old` (nullable) if the DDL is the same. Errors: as of
 * ddl.h; -EINPROGRESS somebody else has a lock: it is to be called again when it is the turn of
 * `turn->lock`, or, `turn->for_text`, when the text of all is no longer being made; or at once when
 * the subject's job is stopped. */
MUST_CHECK int schema_file_refresh(struct subject *subject, struct version *old,
                                   struct schema_turn *turn, struct version **out,
                                   struct error *error);

#endif
