/* A read point: one exported snapshot of one relation, from which parallel COPYs read.
 *
 * readpoint_open begins a REPEATABLE READ, READ ONLY transaction on the leader, locks the relation
 * against being rewritten, and describes it: the version key, which decides whether two fetches are
 * equal, the columns, and the sources that the rows come from, in order. Other sessions join it;
 * then each joined session and the leader itself may run COPYs, one at a time.
 *
 * Lifetime: readpoint_close ends the leader's transaction; joined sessions are ended by
 * readpoint_leave or session_give. Threads: the read point itself is used by one thread; once
 * described, its fields are read by all. Errors: as session.h; -ESTALE the relation was rewritten
 * between the snapshot and the lock, three times in a row.
 */
#ifndef PGCLIENT_READPOINT_H
#define PGCLIENT_READPOINT_H

#include "codec/schema.h"
#include "pgclient/catalog.h"
#include "pgclient/source.h"

/* readpoint_parts.h has more members behind these: only readpoint_open makes one. */
struct readpoint {
    struct session *leader;
    struct relation relation; /* names as they are now */
    struct version_key key;
    struct schema *schema; /* not yet numbered: see with_binary */
    bool *with_binary; /* for each column: its type has binary output, also inside arrays, domains,
                          composites, ranges */
    bool of_users; /* reading it runs what users wrote, or an extension's work on other servers */
    /* For a table: a column's JSON needs a function that users wrote: its owner is no superuser, or
     * it belongs to no extension. The role's time limit holds for it. */
    bool json_apart;
    char *json_refused; /* why the role must not read JSON; NULL: it may */
    struct source *sources;
    size_t source_count;
    /* for an ordinary table: the tables that inherit from it and have rows of their own, as a JSON
     * array of SQL names; "" or NULL: none */
    char *children;
    /* pg_export_snapshot(); NULL: the role may not export, so no session can join */
    char *snapshot;
};

MUST_CHECK int readpoint_open(struct session *leader, const struct relation *relation,
                              struct readpoint **out, struct error *error);
void readpoint_close(struct readpoint *readpoint);

/* From here on the schema is of these columns alone, by number, in this order, generated ones too.
 * Before it is numbered. Errors: those of schema_choose. */
MUST_CHECK int readpoint_choose(struct readpoint *readpoint, const int *numbers, int count);

/* A worker joins: its transaction sees the same snapshot. Locks are taken with NOWAIT, those of
 * partitions only while they are read. If a pooler makes it wait, it waits for a second
 * (-ETIMEDOUT), and not after `stop` is set. */
MUST_CHECK int readpoint_join(struct readpoint *readpoint, struct session *worker,
                              const atomic_bool *stop, struct error *error);
void readpoint_leave(struct session *worker);

/* The number of rows in one range of a ctid source, and their row_id_sum (codec/row_id.h): both
 * equal those of an earlier fetch if the rows are the same. */
struct fingerprint {
    uint64_t rows, sum;
};

/* Gets the fingerprints of `count` ranges, on the leader or a joined session. The server computes
 * them, and reads the heap pages for it, but no TOAST. -EINVAL for a stream. */
MUST_CHECK int readpoint_fingerprint(struct session *session, const struct source *source,
                                     const struct ctid_range *ranges, size_t count,
                                     struct fingerprint *out, struct error *error);

/* Gets each message of the COPY stream: any cut of it, header first and trailer last. A negative
 * return ends the COPY. */
typedef int copy_sink(void *context, const uint8_t *bytes, size_t size);

/* Runs COPY (SELECT …) TO STDOUT (FORMAT binary) for the schema's parts (schema_number has been
 * called), on the leader or on a joined session, and feeds the sink; `said`: how many rows the
 * server says there are. `range` is NULL for a stream source. An error of the statement leaves the
 * session usable under the same snapshot (a savepoint). Returns the sink's error if it gave one;
 * -EREMOTEIO: the server failed for a reason of that moment (a time limit, cancelled, short of
 * memory or of disk), which does not mean that it refuses what was asked for. */
MUST_CHECK int readpoint_copy(struct readpoint *readpoint, struct session *session,
                              const struct schema *schema, const struct source *source,
                              const struct ctid_range *range, copy_sink *sink, void *context,
                              uint64_t *said, struct error *error);

#endif
