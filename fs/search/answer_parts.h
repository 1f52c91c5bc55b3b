/* One answer in the making, for fs/answer*.c alone. The steps, in order:
 *
 *   answer_asked    which column, metric and vectors are meant                  (answer_asked.c)
 *   answer_columns  what is told of a row                                        (answer_rows.c)
 *   answer_filter   the server says which rows meet the condition                (answer_filter.c)
 *   answer_search   the nearest, exactly or from an index                        (answer_search.c)
 *   answer_rows     these rows, rendered                                         (answer_rows.c)
 *
 * or, instead of the last three, answer_server (answer_server.c); so, too, where the table changes
 * faster than it can be read.
 */
#ifndef FS_SEARCH_ANSWER_PARTS_H
#define FS_SEARCH_ANSWER_PARTS_H

#include "codec/vector_parse.h"
#include "fs/base/patience.h"
#include "fs/search/answer.h"
#include "fs/search/vector_index.h"
#include "index/exact.h"

enum method { METHOD_EXACT, METHOD_HNSW, METHOD_SERVER };

struct answer {
    struct search *search;
    const struct question *question;
    int format;
    const atomic_bool *stop; /* or NULL */
    bool waits;              /* its thread may, for the server */
    bool last;               /* it is not made again if the table has changed meanwhile */
    atomic_bool refused;     /* one of its threads would have had to */
    struct error *error;
    struct corpus *corpus;
    const struct snapshot *snapshot; /* the corpus's */

    /* What is asked. */
    int column;
    struct space space;       /* dims 0: not known before the server says it */
    bool typed;               /* the column's type says how many dimensions */
    bool mixed;               /* it has vectors of others, which are left out */
    const struct span *spans; /* NULL: not loaded */
    size_t span_count;
    struct vector_batch batch; /* empty: the vector is that of the row `except` */
    bool batched;              /* the answer is numbered */
    bool by_key;               /* `except` is left out */
    uint64_t except;
    struct key_columns key;   /* of the table */
    struct buffer key_vector; /* its value */
    size_t query_count;
    struct query **queries; /* not for the server */

    /* What is told: a column for each of the schema's. */
    struct schema *schema;
    int *sources; /* the table's column, or SOURCE_… */

    uint64_t taken; /* bytes of values */
    bool large;     /* it has its place in search->room */

    /* Which rows count. */
    uint64_t *filter; /* NULL: all */
    uint64_t matched;

    /* What was found: up to `room` for each query, its number in counts. */
    uint32_t room;
    struct neighbour *found;
    uint32_t *counts;

    /* How, for the plan. */
    enum method method;
    const char *why; /* or NULL */
    int threads;
    uint32_t ef;
    uint64_t visited, returned;
    bool scanned;
    double recall; /* expected; 0: not known */
    uint64_t index_serial;
    int64_t index_fetched_at;
    bool index_broken; /* its file was cut short meanwhile */
    uint32_t fresh;
};

enum { SOURCE_QUERY = -1, SOURCE_DISTANCE = -2 };

MUST_CHECK int answer_asked(struct answer *answer);
MUST_CHECK int answer_columns(struct answer *answer);
/* -ESTALE: the server sees other rows by now, or other row ids. */
MUST_CHECK int answer_filter(struct answer *answer);
MUST_CHECK int answer_search(struct answer *answer);
MUST_CHECK int answer_rows(struct answer *answer, struct buffer *out);
MUST_CHECK int answer_server(struct answer *answer, struct buffer *out);

/* Begins the transaction that a part of the answer is made in; `now`: what it sees, which the
 * caller clears. */
MUST_CHECK int answer_begin(struct answer *answer, struct session *session,
                            struct version_key *now);

/* Has the server do a part of the answer: `work` on a session, in a transaction that has begun, and
 * sees `now`. Where others have a lock that it needs, or want one that it has, it is done again
 * later, from its beginning: -EBUSY for as long as lock_wait says, and five times in a row. */
typedef int answer_work(struct answer *answer, struct session *session,
                        const struct version_key *now, void *context);
MUST_CHECK int answer_on_server(struct answer *answer, answer_work *work, void *context);

/* Loads the column, then the vectors. */
MUST_CHECK int answer_vectors(struct answer *answer);

/* Next to a row there are rows with vectors of as many dimensions: the others are left out. */
MUST_CHECK int answer_alike(struct answer *answer);

/* Of the first vector of the column; 0: there is none. */
MUST_CHECK int answer_stored_dims(struct answer *answer, uint32_t *out);

/* -EINVAL: so many bytes, of values or as they are written, are more than an answer may have. */
MUST_CHECK int answer_fits(const struct answer *answer, uint64_t bytes);

/* A query's value, as COPY BINARY has it. */
const uint8_t *answer_vector(const struct answer *answer, size_t number, size_t *size);

/* Takes its place among the large ones (answer_room.h), unless it has it. */
MUST_CHECK int answer_enter_room(struct answer *answer);

const char *answer_column_name(const struct answer *answer);

#endif
