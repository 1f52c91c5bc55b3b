/* What a similarity search asks of a table: the values of a session (or of one line of `ask`, or of
 * a path below near/), not yet checked against a table.
 *
 * Lifetime: question_init, question_clear. Copies of a question share what may be long
 * (shared_text.h). Threads: one, or any to read.
 */
#ifndef FS_SEARCH_QUESTION_H
#define FS_SEARCH_QUESTION_H

#include "codec/buffer.h"
#include "codec/error.h"
#include "index/metric.h"

#include <stdbool.h>

enum answer_mode { MODE_AUTO, MODE_EXACT, MODE_HNSW, MODE_SERVER };

enum { QUESTION_K_MOST = 100000, QUESTION_TEXT_MOST = 1 << 20 /* bytes of all but vectors */ };

struct question {
    char *column;  /* a shared text: SQL name; NULL: the first vector column */
    int metric;    /* enum metric; -1: l2, or hamming for bits */
    uint32_t k;    /* 1 to QUESTION_K_MOST */
    double recall; /* above 0, to 1 */
    uint32_t ef;   /* ef_search; 0: chosen by recall */
    char *filter;  /* a shared text: an SQL condition; NULL: none */
    enum answer_mode mode;
    /* a shared text: names with commas between, "name" with quotes as in SQL; NULL: all columns but
     * vectors; "*": all */
    char *columns;
    /* a shared text, which may grow: as written, lines of text, raw float32 or .npy; empty: see
     * `key` */
    struct buffer vector;
    bool lines; /* it is lines of text, each of which has been looked at */
    bool batch; /* it was given as an array of vectors, even if of one */
    /* the key of the row that the vector is of, and that is left out; NULL: none. As the key
     * column's type prints it; several columns have commas between */
    char *key;
};

int question_init(struct question *question); /* the defaults: k 10, recall 0.95, auto */
void question_clear(struct question *question);
/* Whether the server has a part in the answer. */
bool question_asks_server(const struct question *question);
MUST_CHECK int question_copy(const struct question *from, struct question *out);

/* The values by their file names in a session: "column", "metric", "k", "recall", "ef_search",
 * "filter", "mode", "columns", "vector" (in that order). */
enum { QUESTION_FIELDS = 9 };
extern const char *const question_fields[QUESTION_FIELDS];

/* Sets a value as it is written to its file: text, without one line break at its end (a vector
 * keeps it). Empty sets the default. -EINVAL, with words that say what is allowed; -EFBIG: it is
 * longer than QUESTION_TEXT_MOST. On errors nothing changes. */
MUST_CHECK int question_set(struct question *question, int field, const void *bytes, size_t size,
                            struct error *error);
/* Appends to the vector, which is `lines`, and looks only at what is new, and at the line that this
 * goes on. 1: it would not be lines; nothing has changed, and question_set judges it as a whole.
 * Errors as there. */
MUST_CHECK int question_extend_vector(struct question *question, const void *bytes, size_t size,
                                      struct error *error);
/* Appends a value as its file shows it: with a line break, and the default if none was set. */
MUST_CHECK int question_show(const struct question *question, int field, struct buffer *out);
/* The shared text of column, filter, columns or vector, borrowed, and how long it is; NULL: nothing
 * is set, or the field is none of them. */
char *question_text(const struct question *question, int field, size_t *size);
/* Whether the value is shown with a line break behind it. */
bool question_is_line(int field);

/* Reads one line of JSON, {"vector": […] or "text", "k": 5, …}: names as above, and "key". A vector
 * may also be an object as .jsonl shows a sparse one, or an array of vectors; columns may be an
 * array of names. A key and a vector together are -EINVAL. */
MUST_CHECK int question_parse_json(const char *line, size_t size, struct question *out,
                                   struct error *error);

#endif
