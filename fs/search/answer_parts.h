/* One answer in the making, for fs/search/answer*.c alone. The steps, in order:
 *
 *   answer_asked    finds which column, metric and vectors are meant            (answer_asked.c)
 *   answer_columns  chooses what is told of a row                                (answer_rows.c)
 *   answer_filter   has the server say which rows meet the condition             (answer_filter.c)
 *   answer_search   finds the nearest rows, exactly or from an index             (answer_search.c)
 *   answer_rows     renders these rows                                           (answer_rows.c)
 *
 * or, instead of the last three, answer_server (answer_server.c), also if the table changes faster
 * than it can be read.
 */
#ifndef FS_SEARCH_ANSWER_PARTS_H
#define FS_SEARCH_ANSWER_PARTS_H

#include "codec/vector_parse.h"
#include "fs/base/patience.h"
#include "fs/search/answer.h"
#include "fs/search/search.h"
#include "fs/search/vector_index.h"
#include "index/exact.h"

enum method { METHOD_EXACT, METHOD_HNSW, METHOD_SERVER };

struct answer {
    struct search *search;
    const struct question *question;
    int format;
    const atomic_bool *stop; /* or NULL */
    bool waits;              /* its thread may wait for the server */
    bool last;               /* it is not made again if the table has changed meanwhile */
    atomic_bool refused;     /* one of its threads would have had to wait */
    struct error *error;
    struct corpus *corpus;
    const struct snapshot *snapshot; /* that of the corpus */

    /* The question. */
    int column;
    struct space space;       /* dims 0: unknown until the server says it */
    bool typed;               /* the column's type says how many dimensions */
    bool mixed;               /* it has vectors of other dimensions, which are left out */
    const struct span *spans; /* NULL: the column is not loaded */
    size_t span_count;
    struct vector_batch batch; /* empty: the vector is that of row `except` */
    bool batched;              /* the answer's rows have the query's number */
    bool by_key;               /* row `except` is left out */
    uint64_t except;
    struct key_columns key; /* the primary key of the table */
    atomic_int unordered;   /* why rows could not be compared by key: a negative errno */
    struct error unordered_why;
    struct buffer key_vector; /* the vector of row `except` */
    size_t query_count;
    struct query **queries; /* not used if the server answers */

    /* The answer's columns. */
    struct schema *schema;
    int *sources; /* of each: the number of the table's column, or SOURCE_… */

    uint64_t taken; /* bytes of values so far */
    bool large;     /* it has a place in search->room */

    /* The rows that match the filter. */
    uint64_t *filter; /* a bit for each row; NULL: all match */
    uint64_t matched;

    /* The rows found: up to `room` for each query; `counts` has their number. */
    uint32_t room;
    struct neighbour *found;
    uint32_t *counts;

    /* How the answer was made, for the plan. */
    enum method method;
    const char *why; /* or NULL */
    int threads;
    uint32_t ef;
    uint64_t visited, returned;
    bool scanned;
    double recall; /* expected; 0: unknown */
    uint64_t index_serial;
    int64_t index_fetched_at;
    bool index_broken; /* the index's file was cut short meanwhile */
    uint32_t fresh;
};

enum { SOURCE_QUERY = -1, SOURCE_DISTANCE = -2 };

/* Rows that an answer has at most, over all queries. */
enum { ANSWER_ROWS_MOST = 1 << 20 };

/* An answer that needs more bytes than this while it is made waits for its turn. */
enum { ANSWER_LARGE = 8 << 20 };

/* The bytes that the vectors of one question may take: a quarter of memory=. */
static inline uint64_t answer_vectors_most(const struct search *search)
{
    const uint64_t share = search->memory / 4, least = 8 << 20;
    return share < least ? least : share;
}

MUST_CHECK int answer_asked(struct answer *answer);
MUST_CHECK int answer_columns(struct answer *answer);
/* -ESTALE: the server sees other rows by now, or other row ids. */
MUST_CHECK int answer_filter(struct answer *answer);
MUST_CHECK int answer_search(struct answer *answer);
MUST_CHECK int answer_rows(struct answer *answer, struct buffer *out);
MUST_CHECK int answer_server(struct answer *answer, struct buffer *out);

/* Begins the transaction in which a part of the answer is made. `now`: what the transaction sees;
 * the caller clears it. */
MUST_CHECK int answer_begin(struct answer *answer, struct session *session,
                            struct version_key *now);

/* Has the server do a part of the answer: calls `work` on a session, in a transaction that has
 * begun and sees `now`. If other sessions have a lock that it needs, or wait for one that it has,
 * it is done again later, from its beginning. It ends with -EBUSY if locks are not free for as long
 * as lock_wait says, or if others have wanted its locks five times in a row. */
typedef int answer_work(struct answer *answer, struct session *session,
                        const struct version_key *now, void *context);
MUST_CHECK int answer_on_server(struct answer *answer, answer_work *work, void *context);

/* Loads the column, then the vectors. */
MUST_CHECK int answer_vectors(struct answer *answer);

/* If the question is about a row, leaves out all rows whose vectors have another number of
 * dimensions. */
MUST_CHECK int answer_alike(struct answer *answer);

/* The dimensions of the column's first vector; 0: there is none. */
MUST_CHECK int answer_stored_dims(struct answer *answer, uint32_t *out);

/* -EINVAL: so many bytes, of values or of text, are more than an answer may have. */
MUST_CHECK int answer_fits(const struct answer *answer, uint64_t bytes);

/* A query's vector, as COPY BINARY has it. */
const uint8_t *answer_vector(const struct answer *answer, size_t number, size_t *size);

/* Takes a place among the large answers (answer_room.h), unless it has one. */
MUST_CHECK int answer_enter_room(struct answer *answer);

const char *answer_column_name(const struct answer *answer);

#endif
