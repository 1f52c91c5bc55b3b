/* A read point: one exported snapshot of one relation, from which parallel COPYs read.
 *
 * readpoint_open begins a REPEATABLE READ, READ ONLY transaction on the leader, locks the relation
 * against being rewritten, and describes it: what decides whether two fetches are equal (struct
 * version_key), its columns, and the sources its rows come from, in order. Other sessions join it;
 * each joined session and the leader itself may then run COPYs, one at a time each.
 *
 * Lifetime: readpoint_close ends the leader's transaction; joined sessions are ended by
 * readpoint_leave or session_give. Threads: the read point itself is used by one thread; once
 * described, its fields are read by all. Errors: as session.h; -ESTALE where the relation was
 * rewritten between the snapshot and the lock three times over.
 */
#ifndef PGCLIENT_READPOINT_H
#define PGCLIENT_READPOINT_H

#include "codec/schema.h"
#include "pgclient/catalog.h"
#include "pgclient/source.h"

/* readpoint.c keeps more behind it: only readpoint_open makes one. */
struct readpoint {
    struct session *leader;
    struct relation relation; /* names as they are now */
    struct version_key key;
    struct schema *schema; /* not yet numbered: see with_binary */
    bool *with_binary; /* for each column: its type has binary output, also inside arrays, domains,
                          composites, ranges */
    bool of_users; /* reading it runs what users wrote, or an extension's work on other servers */
    /* Of a table: a column's JSON needs a function that users wrote, which is owned by somebody who
     * is no superuser or belongs to no extension. The role's limit of time is for it. */
    bool json_apart;
    char *json_refused; /* why the role must not have it; NULL: it may */
    struct source *sources;
    size_t source_count;
    char *children; /* of an ordinary table: those that inherit from it, and have rows of their own,
                       as a JSON array of SQL names; "" or NULL: none */
    char *snapshot; /* pg_export_snapshot(); NULL: the role may not, so nobody can join */
};

MUST_CHECK int readpoint_open(struct session *leader, const struct relation *relation,
                              struct readpoint **out, struct error *error);
void readpoint_close(struct readpoint *readpoint);

/* From here on the schema is of these columns alone, by number, in this order, generated ones too.
 * Before it is numbered. Errors: those of schema_choose. */
MUST_CHECK int readpoint_choose(struct readpoint *readpoint, const int *numbers, int count);

/* A worker joins: its transaction sees the same snapshot. Locks are taken with NOWAIT, those of
 * partitions only while they are read. Where a
 * pooler may have to be waited for, only for a second (-ETIMEDOUT), and not after `stop` is set. */
MUST_CHECK int readpoint_join(struct readpoint *readpoint, struct session *worker,
                              const atomic_bool *stop, struct error *error);
void readpoint_leave(struct session *worker);

/* What the rows of one range of a ctid source have in common with those of an earlier fetch, if
 * they are the same: their number, and their row_id_sum (codec/row_id.h). */
struct fingerprint {
    uint64_t rows, sum;
};

/* The fingerprints of `count` ranges, computed by the server on the leader or a joined session: it
 * reads their heap pages, no TOAST. -EINVAL for a stream. */
MUST_CHECK int readpoint_fingerprint(struct session *session, const struct source *source,
                                     const struct ctid_range *ranges, size_t count,
                                     struct fingerprint *out, struct error *error);

/* Gets each message of the COPY stream: any cut of it, header first and trailer last. A negative
 * return ends the COPY. */
typedef int copy_sink(void *context, const uint8_t *bytes, size_t size);

/* Runs COPY (SELECT …) TO STDOUT (FORMAT binary) for the schema's parts (schema_number has been
 * called), on the leader or on a joined session, and feeds the sink; `said`: how many rows the
 * server says they are. `range` is NULL for a stream source. An error of the statement leaves the
 * session usable under the same snapshot (a savepoint). Returns the sink's error where it gave one;
 * -EREMOTEIO where the server failed for a reason of that moment (a limit of time, cancelled, short
 * of memory or of disk), which says nothing about whether what was asked for is to be had. */
MUST_CHECK int readpoint_copy(struct readpoint *readpoint, struct session *session,
                              const struct schema *schema, const struct source *source,
                              const struct ctid_range *range, copy_sink *sink, void *context,
                              uint64_t *said, struct error *error);

#endif
