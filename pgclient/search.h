/* What similarity search asks the server: whether a transaction sees the rows that are known, and
 * which of them meet the user's condition. (The nearest rows by the server's own search:
 * pgclient/search_nearest.h.)
 *
 * A condition is one SQL expression. It is checked to be no more than that, and is evaluated with
 * the role's own search_path and time limits, in a READ ONLY transaction. Soon after `stop`
 * (nullable) is set the statement ends with -EINTR, and the session is lost.
 *
 * Threads: as sessions. Errors: those of session.h; but -EINVAL, in the server's words, for all
 * errors about what the user wrote, unless the server itself lacks something; -EBADMSG an answer
 * that makes no sense.
 */
#ifndef PGCLIENT_SEARCH_H
#define PGCLIENT_SEARCH_H

#include "pgclient/readpoint.h"

#include <stdatomic.h>

/* Begins the session's transaction, which session_give ends: the calls below are answered in it,
 * for this relation. `now` gets which run of which server answers, and the mark of what the
 * transaction sees; the caller clears it. After an error here, or of search_compare, the
 * transaction has ended. -EACCES: a superuser's mount does not run this (trust.h); -ESTALE: the
 * name belongs to another relation by now, or to none. */
MUST_CHECK int search_begin(struct session *session, const struct relation *relation,
                            const atomic_bool *stop, struct version_key *now, struct error *error);

/* What is known of the rows of one of a table's heaps. */
struct search_heap {
    uint32_t oid, filenode;
    struct fingerprint rows; /* of all rows */
};

/* Checks that the transaction of search_begin sees exactly these rows; that reads the heaps.
 * -ESTALE: it sees others. */
MUST_CHECK int search_compare(struct session *session, const struct relation *relation,
                              const struct search_heap *heaps, size_t count,
                              const atomic_bool *stop, struct error *error);

/* Calls the sink for each row of the relation that meets the condition, in any order, with the oid
 * of the table that it is in. -ESTALE: see search_begin. */
typedef int search_sink(void *context, uint32_t table, struct ctid place, uint32_t xmin);
MUST_CHECK int search_rows(struct session *session, const struct relation *relation,
                           const char *condition, const atomic_bool *stop, search_sink *sink,
                           void *context, struct error *error);

#endif
