/* What proves that rows are what they were: the version key of a fetch, and the marks of moments.
 *
 * Copies of a cluster that were made below the server (a snapshot of the disk, cp -a) agree in
 * system identifier, timeline, oids, transaction ids and ctids, and then give these out anew for
 * other rows. So none of them proves anything but within one run of one server whose WAL has not
 * gone back. A version knows the runs under which it was proven; what another run has is compared
 * by contents, once.
 *
 * A mark is a text that two moments share only if nothing visible has changed in between:
 *
 *   system identifier/database/timeline/run/settings/snapshot or replayed position@position
 *
 * The settings are those that are not the same for all sessions of ours: a hash of lc_monetary.
 *
 * A standby that does not tell what it has replayed has none that holds.
 *
 * Threads: none of its own. Errors: -ENOMEM.
 */
#ifndef PGCLIENT_VERSION_KEY_H
#define PGCLIENT_VERSION_KEY_H

#include "codec/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A part of the signature. Count it up when the same rows of the server are fetched or rendered
 * otherwise than before. */
#define OUTPUT_VERSION 1

enum { RUNS_KEPT = 8, RUN_TEXT = 64 };

struct server_run {
    char text[RUN_TEXT]; /* changes with each start and each recovery from a crash */
    uint32_t timeline;
    uint64_t position; /* of WAL: nothing that was seen is later; 0: unknown */
};

struct version_key {
    uint64_t system_id;
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
    struct server_run runs[RUNS_KEPT]; /* the last one first; of a read point: its own */
};

MUST_CHECK int version_key_copy(const struct version_key *from, struct version_key *out);
void version_key_clear(struct version_key *key);

/* Whether what is known of the run that `now` is of still names rows: it is listed, and its
 * position has not gone back. */
bool version_key_believes(const struct version_key *known, const struct version_key *now);

/* Found equal to what is true under `now`: its mark, what it proves, and its run goes in front. On
 * an error nothing has changed. */
MUST_CHECK int version_key_prove(struct version_key *known, const struct version_key *now);

/* Takes over the runs of `older` that `key` does not list, behind its own, as far as there is room.
 */
void version_key_inherit(struct version_key *key, const struct version_key *older);

/* A number for the run; 0 is none. */
uint64_t server_run_id(const struct server_run *run);

/* Whether nothing can have changed from one mark to the other: equal, the position not gone back.
 */
bool mark_holds(const char *known, const char *now);

/* The transaction id at and behind which nothing was over yet at the mark; false: it is of a
 * standby, and does not tell. */
bool mark_horizon(const char *mark, uint32_t *out);

/* 0, or -EIO: the mark is of another cluster or database, so that no name and no number in it means
 * anything here. */
MUST_CHECK int mark_check(const char *mark, uint64_t system_id, uint32_t database,
                          struct error *error);

#endif
