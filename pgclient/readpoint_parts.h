/* A read point, for pgclient/readpoint*.c alone:
 *
 *     readpoint.c       opens it: looks up, locks, judges what would run, describes
 *     readpoint_join.c  lets other sessions see its snapshot
 *     readpoint_read.c  reads under it, on the leader or a joined session: fingerprints, COPY
 *
 * Threads, errors: as pgclient/readpoint.h says.
 */
#ifndef PGCLIENT_READPOINT_PARTS_H
#define PGCLIENT_READPOINT_PARTS_H

#include "pgclient/cluster.h"
#include "pgclient/connection.h"
#include "pgclient/readpoint.h"
#include "pgclient/sql_text.h"

/* Without this the planner also evaluates what is constant in the checks of tables. */
#define READPOINT_NO_EXCLUSION "SET LOCAL constraint_exclusion = off;"

struct kept_readpoint {
    struct readpoint public; /* first, so that a pointer to it leads to the rest */
    char *lock;              /* LOCK TABLE … IN ACCESS SHARE MODE, or "" */
    char *probe;             /* SELECT * FROM … LIMIT 0 */
    char *seen;              /* pg_current_snapshot() */
    bool keeps_plans;        /* the server keeps those of the questions */
    bool judged;             /* it is asked first whose functions would run */
    /* a table: policies hide rows from the role, and filter_rows allows that */
    bool filtered;
    bool may_be_spread; /* an extension that spreads tables is installed */
    bool shows_owners;  /* a view: it shows what its owner may see (policies.h) */
    struct cluster cluster;
};

static inline struct kept_readpoint *readpoint_kept(struct readpoint *readpoint)
{
    return (struct kept_readpoint *)readpoint;
}

/* A foreign server's wrapper makes its statements, and a policy is what a user wrote: both need
 * TRANSACTION_USER. */
enum transaction_kind readpoint_kind(const struct kept_readpoint *r);

/* The settings under which the relation is read, in a transaction of its kind. */
void readpoint_put_own_settings(const struct kept_readpoint *r, const struct connection *connection,
                                struct text *sql);

/* Gives lc_monetary the same value in all sessions of the read point, as long as it lasts:
 * otherwise each session would follow a reload, or what was set for its role after others began. */
void readpoint_put_money(const struct kept_readpoint *r, struct text *sql);

#endif
