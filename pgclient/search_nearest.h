/* The nearest rows by the server's own search: one COPY of a SELECT … ORDER BY … LIMIT, with
 * pgvector's operators and, if it has one, its index.
 *
 * The condition, threads and errors are as pgclient/search.h says; -EINVAL also if the database
 * does not have pgvector.
 */
#ifndef PGCLIENT_SEARCH_NEAREST_H
#define PGCLIENT_SEARCH_NEAREST_H

#include "pgclient/search.h"

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

#endif
