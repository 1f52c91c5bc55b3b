/* The DDL of one relation, in pg_dump's words: CREATE EXTENSION for the extensions that its
 * columns' types come from, then what `pg_dump --schema-only` prints for it, as ddl_text.h
 * says.
 *
 * pg_dump sets its session, which a pooler would then give to others: it never runs through one,
 * but through a connection string that leads to the server itself.
 *
 * Errors: as session.h, of which -EBUSY others hold the table's lock, -ENOLCK
 * other reads of this mount have as many locks as they may (lock_room.h), -EAGAIN pg_dump was ended
 * since somebody waited for a lock that it held, -EUSERS it was refused its connection, -EREMCHG
 * several servers stand behind one address, and another than before was met: these may be gone the
 * next time, the last one with a signature read anew. -EOPNOTSUPP a pooler stands in between,
 * -ENOENT pg_dump is not installed or the relation has gone, else -EIO with pg_dump's own words.
 */
#ifndef PGCLIENT_DDL_H
#define PGCLIENT_DDL_H

#include "codec/buffer.h"
#include "codec/keyed_hash.h"
#include "pgclient/catalog.h"

#include <stdatomic.h>

/* How DDL is read. All is borrowed. */
struct ddl_way {
    struct session_pool *pool; /* counts pg_dump, too */
    const struct server *server;
    const struct server *direct;    /* what pg_dump connects to; NULL: what the pool does */
    int64_t lock_wait_ms;           /* how long others' locks are waited for; negative: any time */
    uint8_t secret[KEYED_HASH_KEY]; /* of ddl_text() */
    const char *folder;             /* where the archive of a dump of all lies for a moment */
    size_t text_most;               /* bytes of text that such a dump may have */
};

/* A text that holds at two times (mark_holds) only if no DDL of the database has changed in
 * between, so that pg_dump would print the same: the run of the server, the number of rows and the
 * sum of the hashes of (ctid, xmin) of each catalog that pg_dump reads, those of temporary tables
 * left out, and the position. If the server does not tell its run or its position it never holds.
 * Newly allocated. Read it before ddl_read. */
MUST_CHECK int ddl_signature(struct session *session, char **out, struct error *error);

struct cluster;
/* Whether the signature is of this database of this run of this server. */
bool ddl_signature_is_of(const char *signature, const struct cluster *cluster);

/* Appends the DDL, of the server that `signature` (nullable: any that the pool leads to) is of, or
 * of its primary. Waits for a lock of the table no longer than `lock_ms`, nor with a session for
 * another. */
MUST_CHECK int ddl_read(const struct ddl_way *way, const struct relation *relation,
                        const char *signature, int lock_ms, const atomic_bool *stop,
                        struct buffer *out, struct error *error);

/* Whether `direct` leads to the server that the pool leads to, and not to a pooler; else -EIO. */
MUST_CHECK int ddl_check_direct(const struct ddl_way *way, const atomic_bool *stop,
                                struct error *error);

#endif
