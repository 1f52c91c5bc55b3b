/* The texts of all schema.sql files of a mount, from one pg_dump for a state of the DDL
 * (ddl_whole.h).
 *
 * This text of all is made when several relations ask for theirs in one state: the job that asks
 * last makes it, while the others wait for it here, without threads. If only one table's schema.sql
 * is read, that table gets a pg_dump of its own. The server must not be kept busy with such dumps:
 * between two there is a pause, longer than the first has taken, in which each relation gets a
 * pg_dump of its own. So does a relation that is not in the text. The text is kept while it is
 * used, and as long as the state holds.
 *
 * Lifetime: {0} in the mount, except for what it borrows; schema_text_clear. Threads: all is
 * guarded by `lock`.
 */
#ifndef FS_TABLES_SCHEMA_TEXT_H
#define FS_TABLES_SCHEMA_TEXT_H

#include "codec/buffer.h"
#include "fs/base/wait.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct ddl_way;

struct schema_text {
    pthread_mutex_t *lock;     /* the mount's lock, which guards all that follows; borrowed */
    struct waits *waits;       /* the mount's; borrowed */
    const struct ddl_way *way; /* the mount's way to the DDL; borrowed */
    struct schema_dump *dump;  /* NULL: there is none */
    bool making;               /* a job makes one */
    struct wait waiting;       /* for the one being made; called with the lock */
    char *state;               /* signature of the state that is asked for now; NULL: none yet */
    unsigned asked;            /* how many times it was asked for */
    int64_t pause_until;       /* clock_ms() */
};

enum schema_text_way {
    SCHEMA_TEXT_READ, /* the text is there */
    SCHEMA_TEXT_WAIT, /* the text is being made */
    SCHEMA_TEXT_MAKE, /* the relation that asks makes it */
    SCHEMA_TEXT_ALONE /* the relation gets a pg_dump of its own */
};
/* How a relation that asks in the state of this signature gets its text; the call counts the
 * request. */
enum schema_text_way schema_text_ask(struct schema_text *text, const char *signature, int64_t now);

/* Appends the relation's text in the state of this signature, which was read before. Called without
 * the lock. -ENOENT: run pg_dump for this relation alone; -EINPROGRESS: wait on `waiting` as long
 * as `making` is set, then read the signature anew; -EINTR: `stop` was set; -ENOMEM. */
MUST_CHECK int schema_text_get(struct schema_text *text, uint32_t relation, const char *signature,
                               const atomic_bool *stop, struct buffer *out);

/* Forgets what has not been used for a while. To be called now and then, with the lock. */
void schema_text_tend(struct schema_text *text);
void schema_text_clear(struct schema_text *text);

#endif
