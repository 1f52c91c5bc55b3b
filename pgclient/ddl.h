/* The DDL of one relation, in pg_dump's words: CREATE EXTENSION for the extensions that its
 * columns' types come from, then what `pg_dump --schema-only` prints for it, as ddl_text.h
 * says.
 *
 * pg_dump changes the settings of its session, which a pooler would then give to other clients. So
 * it never runs through a pooler, but with a connection string that leads to the server itself.
 *
 * Errors: as session.h. Some may be gone the next time: -EBUSY another client holds the table's
 * lock, -ENOLCK other reads of this mount have as many locks as they may (lock_room.h), -EAGAIN
 * pg_dump was ended because another client waited for a lock that it held, -EUSERS it was refused
 * its connection, -EREMCHG several servers stand behind one address, and another than before was
 * met (read the signature anew). The others: -EOPNOTSUPP a pooler stands in between, -ENOENT
 * pg_dump is not installed or the relation has gone, else -EIO with pg_dump's own words.
 */
#ifndef PGCLIENT_DDL_H
#define PGCLIENT_DDL_H

#include "codec/buffer.h"
#include "codec/keyed_hash.h"
#include "pgclient/catalog.h"

#include <stdatomic.h>

/* How DDL is read. All members are borrowed. */
struct ddl_way {
    struct session_pool *pool; /* counts pg_dump, too */
    const struct server *server;
    const struct server *direct;    /* what pg_dump connects to; NULL: the pool's server */
    uint8_t secret[KEYED_HASH_KEY]; /* of ddl_text() */
    /* folder for the archive of a dump of all relations, which exists for a moment */
    const char *folder;
    size_t text_most; /* bytes of text that such a dump may have at most */
};

/* A text that holds at two times (mark_holds) only if no DDL of the database has changed in
 * between, so that pg_dump would print the same. It has the run of the server, the position, and
 * for each catalog that pg_dump reads the number of rows and the sum of the hashes of (ctid, xmin),
 * without the rows of temporary tables. If the server does not tell its run or its position the
 * text never holds. Newly allocated. Read it before ddl_read. */
MUST_CHECK int ddl_signature(struct session *session, char **out, struct error *error);

struct cluster;
/* Whether the signature was made for this database, in this run of this server. */
bool ddl_signature_is_of(const char *signature, const struct cluster *cluster);

/* Appends the DDL, from the server that `signature` was read from (NULL: any that the pool leads
 * to), or from its primary. Waits for the table's lock no longer than `lock_ms`, and never waits
 * for a session while it has one. */
MUST_CHECK int ddl_read(const struct ddl_way *way, const struct relation *relation,
                        const char *signature, int lock_ms, const atomic_bool *stop,
                        struct buffer *out, struct error *error);

/* Whether `direct` leads to the server that the pool leads to, and not to a pooler; else -EIO. */
MUST_CHECK int ddl_check_direct(const struct ddl_way *way, const atomic_bool *stop,
                                struct error *error);

#endif
