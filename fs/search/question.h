/* What is asked of a table by similarity search: the values of a session (or of one line of `ask`,
 * or of a path below near/), not yet checked against a table.
 *
 * Lifetime: question_init, question_clear. What may be long is shared by the copies of a question
 * (shared_text.h). Threads: one, or read-only.
 */
#ifndef FS_SEARCH_QUESTION_H
#define FS_SEARCH_QUESTION_H

#include "codec/buffer.h"
#include "codec/error.h"
#include "index/metric.h"

#include <stdbool.h>

enum answer_mode { MODE_AUTO, MODE_EXACT, MODE_HNSW, MODE_SERVER };

enum { QUESTION_K_MOST = 100000, QUESTION_TEXT_MOST = 1 << 20 /* of all but vectors, bytes */ };

struct question {
    char *column;  /* a shared text: SQL name; NULL: the first vector column */
    int metric;    /* enum metric; -1: l2, of bits hamming */
    uint32_t k;    /* 1 to QUESTION_K_MOST */
    double recall; /* above 0, to 1 */
    uint32_t ef;   /* ef_search; 0: by recall */
    char *filter;  /* a shared text: an SQL condition; NULL: none */
    enum answer_mode mode;
    char *columns; /* a shared text: names with commas between, "name" with quotes as in SQL; NULL:
                      all but vectors; "*": all */
    struct buffer vector; /* a shared text: as written, lines of text, raw float32 or .npy. Empty:
                             see key */
    bool batch;           /* it was given as an array of vectors, be it of one */
    char *key; /* of the row that the vector is of, which is then left out; NULL: none. As the
                  key column's type prints it; of a key of several columns, these with commas
                  between */
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

/* Sets one as it is written to its file: text, one line break at the end dropped (of a vector,
 * kept). Empty sets the default. -EINVAL, with what is allowed, -EFBIG it is longer than
 * QUESTION_TEXT_MOST; and nothing is changed. */
MUST_CHECK int question_set(struct question *question, int field, const void *bytes, size_t size,
                            struct error *error);
/* Appends it as its file shows it: with a line break, the default where none was set. */
MUST_CHECK int question_show(const struct question *question, int field, struct buffer *out);
/* The shared text of column, filter, columns or vector, borrowed; NULL: nothing is set, or it is
 * none of them. */
char *question_text(const struct question *question, int field);
/* Whether a line break stands behind the text where it is shown. */
bool question_is_line(int field);

/* From one line of JSON, {"vector": […] or "text", "k": 5, …}: names as above, and "key". A vector
 * may also be as .jsonl shows a sparse one, or an array of vectors; columns an array of names.
 * Both a key and a vector are -EINVAL. */
MUST_CHECK int question_parse_json(const char *line, size_t size, struct question *out,
                                   struct error *error);

#endif
