/* The texts of all schema.sql of a mount, from one pg_dump for a state of the DDL (ddl_whole.h).
 *
 * It is made when several relations ask for theirs in one state: by the job of the one that asks
 * last, while those of others wait for it here, without threads. Whoever reads the schema.sql of
 * one table has a pg_dump of that table. Making it again and again must not be what the server is
 * busy with: between two there is a pause, longer than the first has taken, in which each relation
 * has a pg_dump of its own; so it is with what is not in the text. It is kept while it is used,
 * and as long as the state holds.
 *
 * Lifetime: {0} in the mount, but for what it borrows; schema_text_clear. Threads: all is guarded by `lock`.
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
    pthread_mutex_t *lock;     /* the mount's, which guards all that follows, */
    struct waits *waits;       /* its waits, and */
    const struct ddl_way *way; /* its way to the DDL; all three borrowed */
    struct schema_dump *dump;  /* NULL: there is none */
    bool making;               /* some job makes one */
    struct wait waiting;       /* for that; called with the lock */
    char *state;               /* signature of what is asked for now; NULL: nothing yet */
    unsigned asked;            /* so many times */
    int64_t pause_until;       /* clock_ms() */
};

enum schema_text_way {
    SCHEMA_TEXT_READ, /* the text is there */
    SCHEMA_TEXT_WAIT, /* it is made */
    SCHEMA_TEXT_MAKE, /* by the one who asks */
    SCHEMA_TEXT_ALONE /* he has a pg_dump of his own */
};
/* How one who asks in the state of this signature gets his; this counts him. */
enum schema_text_way schema_text_ask(struct schema_text *text, const char *signature, int64_t now);

/* Appends the relation's text of the state of this signature, which was read before. Without
 * the lock. -ENOENT: pg_dump has to be asked for it alone; -EINPROGRESS: while `making`,
 * `waiting` is to be waited for, and the signature read anew; -EINTR: `stop` was set; -ENOMEM. */
MUST_CHECK int schema_text_get(struct schema_text *text, uint32_t relation, const char *signature,
                               const atomic_bool *stop, struct buffer *out);

/* Forgets what has not been used for a while. To be called now and then, with the lock. */
void schema_text_tend(struct schema_text *text);
void schema_text_clear(struct schema_text *text);

#endif
