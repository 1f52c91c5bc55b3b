/* One run of pg_dump, watched: it has a place among the connections, is led to the server that was
 * asked, and is ended if its locks are in the way of others.
 *
 * Errors: as of ddl.h.
 */
#ifndef PGCLIENT_DDL_RUN_H
#define PGCLIENT_DDL_RUN_H

#include "pgclient/cluster.h"
#include "pgclient/ddl.h"
#include "pgclient/dump.h"
#include "pgclient/lock_room.h"

/* The caller sets the first four members, which are borrowed; the rest is {0} at first. */
struct ddl_run {
    const struct ddl_way *way;
    const atomic_bool *stop;
    struct dump *dump;
    const struct cluster *there; /* the server that pg_dump has to meet */
    struct lock_room room;       /* room that its locks take */
    char application[48];        /* by this its backend is found */
    int64_t look_at;             /* clock_ms() of the next look at its locks */
    struct session *exporter;    /* the session whose snapshot it has; NULL: none, or no longer */
    bool found;                  /* its backend was found at the last look */
    bool waited;                 /* it waited for a lock at the last look */
    int ended;                   /* why it had to be ended; 0: it did not */
    struct error error;
};

/* -ENOLCK: other reads of this mount have as many locks as they may. */
MUST_CHECK int ddl_run_reserve(struct session *session, const struct lock_room *room,
                               struct error *error);

/* Appends what it prints. */
MUST_CHECK int ddl_run_dump(struct ddl_run *run, struct buffer *out, struct error *error);

#endif
