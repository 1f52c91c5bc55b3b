/* What proves that rows have not changed: the version key of a fetch, and the marks of points in
 * time.
 *
 * Copies of a cluster that were made below the server (a snapshot of the disk, cp -a) agree in
 * system identifier, timeline, oids, transaction ids and ctids, and then give the same ones to
 * other rows. So these prove something only within one run of one server whose WAL has not gone
 * back. A version knows the runs under which it was proven; under another run its contents are
 * compared, once.
 *
 * A mark is a text that holds at a later time only if nothing visible has changed in between. It
 * is:
 *
 *   name/database/timeline/run/settings/snapshot or replayed position@position
 *
 * The name is the cluster's (cluster.h), as in keys.
 *
 * The settings are those that are not the same in all of our sessions: a hash of lc_monetary.
 *
 * The mark of a standby that does not tell what it has replayed never holds.
 *
 * Threads: none of its own. Errors: -ENOMEM.
 */
#ifndef PGCLIENT_VERSION_KEY_H
#define PGCLIENT_VERSION_KEY_H

#include "codec/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A part of the signature. Increase it when the same rows of the server are fetched or rendered
 * otherwise than before. */
#define OUTPUT_VERSION 1

enum { RUNS_KEPT = 8, RUN_TEXT = 64 };

struct server_run {
    char text[RUN_TEXT]; /* changes with each start and each recovery from a crash */
    uint32_t timeline;
    uint64_t position; /* of WAL: nothing that was seen is later than this; 0: unknown */
};

struct version_key {
    uint64_t system_id; /* the cluster's name (cluster.h) */
    uint32_t database;
    uint32_t relation;
    uint32_t output; /* OUTPUT_VERSION */
    char *mark;      /* of the last time that it was proven */
    char *signature; /* hex digest of everything in the catalog that the output depends on, of the
                      * sources' (oid, filenode) in order and of our output settings' version */
    bool proves; /* true: equal marks prove equal rows, and so do equal signatures with equal ids of
                  * the rows, if they have lasting ones. False (views, foreign tables, rows that
                  * policies choose, types whose text depends on other objects; a server that does
                  * not tell its position): contents must be compared */
    int run_count;
    struct server_run runs[RUNS_KEPT]; /* the last one first; a read point has one, its own */
};

MUST_CHECK int version_key_copy(const struct version_key *from, struct version_key *out);
void version_key_clear(struct version_key *key);

/* Whether `known` still names the server's rows: it lists the run of `now`, and the position has
 * not gone back. */
bool version_key_believes(const struct version_key *known, const struct version_key *now);

/* Notes that `known` was found equal to what is true under `now`: takes over the mark of `now` and
 * what it proves, and puts its run in front. On an error nothing has changed. */
MUST_CHECK int version_key_prove(struct version_key *known, const struct version_key *now);

/* Takes over the runs of `older` that `key` does not list, behind its own, as far as there is room.
 */
void version_key_inherit(struct version_key *key, const struct version_key *older);

/* A number for the run, never 0. */
uint64_t server_run_id(const struct server_run *run);

/* Whether nothing can have changed from one mark to the other: they are equal, and the position has
 * not gone back. */
bool mark_holds(const char *known, const char *now);

/* Gets the transaction id from which on no transaction had ended yet at the mark; false: the mark
 * is a standby's, and does not tell. */
bool mark_horizon(const char *mark, uint32_t *out);

/* 0, or -EIO: the mark is of another cluster or database, so that no name and no number in it has a
 * meaning here. */
MUST_CHECK int mark_check(const char *mark, uint64_t system_id, uint32_t database,
                          struct error *error);

#endif
