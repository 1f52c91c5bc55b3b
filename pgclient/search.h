/* What similarity search asks the server: which rows meet the user's condition, the nearest rows by
 * the server's own search, and a relation's primary key.
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

/* A column's value, as its type prints it. */
struct search_value {
    const char *column;
    const char *text; /* NULL: none */
};

/* Nearest rows of one query. */
struct search_nearest {
    const struct relation *relation;
    /* What to give: columns of these names, then the distance. The schema's parts say what the rows
     * of the COPY look like. */
    const struct schema *schema;
    /* One name for each of the schema's columns but the last; NULL: the number. */
    const char *const *names;
    uint32_t number;                   /* of the query, for the column without name: an int4 */
    const char *column;                /* the vectors */
    const char *type;                  /* vector, halfvec, sparsevec; bit, varbit */
    const char *metric;                /* pgvector's operator, as <-> */
    const char *query;                 /* as its type prints it */
    const char *condition;             /* NULL: none */
    const struct search_value *except; /* the key of a row to leave out */
    size_t except_count;               /* its columns; 0: no row is left out */
    uint32_t dims; /* only vectors of so many dimensions; 0: all, which must have that number */
    uint32_t k;
    uint32_t ef;   /* ef_search, if an HNSW index is used; 0: as k needs it */
    bool no_index; /* look at all rows */
    const atomic_bool *stop;
};

/* The k nearest, nearest first, as the messages of one COPY, and how many the server says they are.
 * The first call begins the transaction, which session_give ends; further calls in it see the same
 * rows. They may differ from the call with number 0 in number, query and no_index alone: only for
 * that call it is asked whose functions would run. -ESTALE: see search_begin; or columns have other
 * types by now than those that they are read as. */
MUST_CHECK int search_nearest(struct session *session, const struct search_nearest *search,
                              copy_sink *sink, void *context, uint64_t *said, struct error *error);

/* Gets the columns of the primary key, in the key's order; none if there is no key. `type` is the
 * typname, for a domain that of its base type, or "" if that type is not in pg_catalog. A negative
 * return ends the call. `now`, empty before, gets which run of which server has answered, and its
 * mark; the caller clears it, also after an error. */
typedef int search_key(void *context, const char *name, const char *type);
MUST_CHECK int search_primary_key(struct session *session, uint32_t relation,
                                  struct version_key *now, search_key *key, void *context,
                                  struct error *error);

#endif
