/* What similarity search asks the server: which rows meet a condition of the user's, the nearest
 * rows by the server's own search, and a relation's primary key.
 *
 * A condition is one SQL expression. It is checked to be no more than that, and is evaluated with
 * the role's own search_path and limits of time, in a READ ONLY transaction. Soon after `stop`
 * (nullable) is set the statement ends with -EINTR, and the session is lost.
 *
 * Threads: as sessions. Errors: those of session.h, but -EINVAL, in the server's words, for all
 * that it says about what the user wrote, which is not what the server itself lacks; -EBADMSG an
 * answer that makes no sense.
 */
#ifndef PGCLIENT_SEARCH_H
#define PGCLIENT_SEARCH_H

#include "pgclient/readpoint.h"

#include <stdatomic.h>

/* Begins the session's transaction, which session_give ends: what follows is answered in it, of
 * this relation. `now` gets which run of which server answers, and its mark: that of what the
 * transaction sees; the caller clears it. After an error here, or of search_compare, the
 * transaction has ended.
 * -EACCES: what a superuser's mount does not run (trust.h); -ESTALE: the name is another relation's
 * by now, or nobody's. */
MUST_CHECK int search_begin(struct session *session, const struct relation *relation,
                            const atomic_bool *stop, struct version_key *now, struct error *error);

/* What is known of a table's rows, of one of its heaps. */
struct search_heap {
    uint32_t oid, filenode;
    struct fingerprint rows; /* of all of them */
};

/* In the transaction that search_begin has begun: whether it sees just these rows, which reads the
 * heaps. -ESTALE: it sees others. */
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
    /* One for each of the schema's columns but the last; NULL: the number. */
    const char *const *names;
    uint32_t number;                   /* of the query, for the column without name: an int4 */
    const char *column;                /* the vectors */
    const char *type;                  /* vector, halfvec, sparsevec; bit, varbit */
    const char *metric;                /* pgvector's operator, as <-> */
    const char *query;                 /* as the type prints it */
    const char *condition;             /* NULL: none */
    const struct search_value *except; /* the key of a row that is left out */
    size_t except_count;               /* its columns; 0: none is */
    uint32_t dims; /* only vectors of so many dimensions; 0: all, which must have as many */
    uint32_t k;
    uint32_t ef;   /* ef_search, if an HNSW index is used; 0: as k needs it */
    bool no_index; /* look at all rows */
    const atomic_bool *stop;
};

/* The k nearest, nearest first, as the messages of one COPY, and how many the server says they are.
 * The first call begins the transaction, which session_give ends; others under it see the same
 * rows. They differ from one of the number 0 in number, query and no_index alone: whose functions
 * would run is asked for that one. -ESTALE: see search_begin; or columns have other types by now
 * than those that they are read as. */
MUST_CHECK int search_nearest(struct session *session, const struct search_nearest *search,
                              copy_sink *sink, void *context, uint64_t *said, struct error *error);

/* Gets the columns of the primary key, in the key's order; none if there is no key. `type` is the
 * typname, of a domain that of its base type, or "" if that is not of pg_catalog. A negative return
 * ends it. `now`, empty before, gets which run of which server has answered, and its mark; the
 * caller clears it, also after an error. */
typedef int search_key(void *context, const char *name, const char *type);
MUST_CHECK int search_primary_key(struct session *session, uint32_t relation,
                                  struct version_key *now, search_key *key, void *context,
                                  struct error *error);

#endif
