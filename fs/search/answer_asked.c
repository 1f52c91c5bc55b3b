/* What a question means for a table: which column, which metric, which vectors. */
#include "fs/search/answer_parts.h"
#include "fs/search/dims.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

_Static_assert((int)VECTOR_FLOAT32 == (int)ELEMENT_FLOAT32 &&
                   (int)VECTOR_FLOAT16 == (int)ELEMENT_FLOAT16 &&
                   (int)VECTOR_SPARSE == (int)ELEMENT_SPARSE && (int)VECTOR_BIT == (int)ELEMENT_BIT,
               "one is taken for the other");

const char *answer_column_name(const struct answer *answer)
{
    return answer->snapshot->schema->columns[answer->column].name;
}

/* The element of a column's vectors; -1: it has no vectors. */
static int element_of(const struct column *column)
{
    return column->type != NULL ? element_find(column->type->name) : -1;
}

static int find_column(struct answer *answer)
{
    const struct schema *schema = answer->snapshot->schema;
    const char *name = answer->question->column;
    int bits = -1;
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        int element = element_of(column);
        if (name != NULL && strcmp(column->name, name) == 0) {
            answer->column = i;
            return element >= 0 ? 0
                                : error_set(answer->error, -EINVAL,
                                            "column \"%s\" is of type %s, which is no vector", name,
                                            column->type_name);
        }
        if (name == NULL && element == ELEMENT_BIT && bits < 0)
            bits = i;
        else if (name == NULL && element >= 0 && element != ELEMENT_BIT) {
            answer->column = i;
            return 0;
        }
    }
    answer->column = bits;
    if (bits >= 0)
        return 0;
    return name != NULL ? error_set(answer->error, -EINVAL, "there is no column \"%s\"", name)
                        : error_set(answer->error, -EINVAL, "the table has no column of vectors");
}

static int find_metric(struct answer *answer)
{
    const struct column *column = &answer->snapshot->schema->columns[answer->column];
    enum element element = (enum element)element_of(column);
    int metric = answer->question->metric;
    if (metric < 0)
        metric = element == ELEMENT_BIT ? METRIC_HAMMING : METRIC_L2;
    if (!metric_fits((enum metric)metric, element))
        return error_set(answer->error, -EINVAL,
                         "metric %s is not for column \"%s\", which is of type %s: use %s",
                         metric_name((enum metric)metric), column->name, column->type_name,
                         element == ELEMENT_BIT ? "hamming or jaccard" : "l2, ip, cosine or l1");
    answer->space = (struct space){.element = element, .metric = (enum metric)metric};
    return 0;
}

int answer_stored_dims(struct answer *answer, uint32_t *out)
{
    int rc = dims_stored(answer->spans, answer->span_count, answer->space.element, out);
    return rc < 0 ? error_set(answer->error, -EIO, "a value of column \"%s\" is no vector",
                              answer_column_name(answer))
                  : 0;
}

static void note_dims(struct answer *answer)
{
    answer->space.dims = dims_declared(&answer->snapshot->schema->columns[answer->column]);
    answer->typed = answer->space.dims != 0;
}

int answer_asked(struct answer *answer)
{
    const struct question *question = answer->question;
    int rc = find_column(answer);
    if (rc == 0)
        rc = find_metric(answer);
    if (rc < 0)
        return rc;
    note_dims(answer);
    answer->by_key = question->key != NULL;
    if (!answer->by_key && question->vector.size == 0)
        return error_set(answer->error, -EINVAL,
                         "there is no vector to search for: write one to `vector`");
    return 0;
}

/* ---- the vectors ---- */

static int take_row(struct answer *answer)
{
    struct corpus *corpus = answer->corpus;
    const uint8_t *bytes;
    int32_t size;
    int rc = corpus_find_key(corpus, answer->question->key, &answer->except, answer->error);
    if (rc < 0)
        return rc;
    struct corpus_row row = corpus_row(corpus, answer->except);
    corpus_pin(corpus, row.group);
    int part = answer->snapshot->schema->columns[answer->column].part[PART_BINARY];
    rc = corpus_value(corpus, row, part, &bytes, &size, answer->error);
    if (rc == 0 && size < 0)
        rc = error_set(answer->error, -EINVAL, "the row's \"%s\" is NULL",
                       answer_column_name(answer));
    if (rc == 0)
        rc = buffer_append(&answer->key_vector, bytes, (size_t)size);
    corpus_unpin(corpus, row.group);
    if (rc == 0)
        rc = value_dims(answer->space.element, answer->key_vector.data, (size_t)size,
                        &answer->space.dims);
    if (rc == 0 && answer->space.dims == 0)
        rc = error_set(answer->error, -EINVAL,
                       "the row's \"%s\" is empty: nothing can be compared with it",
                       answer_column_name(answer));
    answer->query_count = 1;
    return rc == -EBADMSG ? error_set(answer->error, -EIO, "the row's \"%s\" is no vector",
                                      answer_column_name(answer))
                          : rc;
}

/* Each query may have as many rows as the question asks for, or the table has. */
static size_t queries_most(const struct answer *answer)
{
    uint64_t rows = answer->snapshot->rows, k = answer->question->k;
    if (k > rows)
        k = rows;
    return k == 0 ? ANSWER_ROWS_MOST : (size_t)(ANSWER_ROWS_MOST / k);
}

static int parse(struct answer *answer)
{
    const struct buffer *text = &answer->question->vector;
    struct vector_form form = {(enum vector_kind)answer->space.element, answer->space.dims,
                               queries_most(answer), answer_vectors_most(answer->search)};
    int rc = text->size > ANSWER_LARGE ? answer_enter_room(answer) : 0;
    if (rc < 0)
        return rc;
    rc = vector_parse(&form, text->data, text->size, &answer->batch, answer->error);
    if (rc < 0) {
        error_prefix(answer->error, "vector");
        return rc;
    }
    answer->space.dims = answer->batch.dims;
    answer->query_count = answer->batch.count;
    answer->batched = answer->question->batch || answer->batch.count > 1;
    return 0;
}

const uint8_t *answer_vector(const struct answer *answer, size_t number, size_t *size)
{
    if (!answer->by_key)
        return vector_batch_value(&answer->batch, number, size);
    *size = answer->key_vector.size;
    return answer->key_vector.data;
}

int answer_vectors(struct answer *answer)
{
    int rc = 0;
    if (answer->method != METHOD_SERVER)
        rc = corpus_load(answer->corpus, answer->column, answer->stop, &answer->spans,
                         &answer->span_count, answer->error);
    if (rc == 0)
        rc = answer->by_key ? take_row(answer) : parse(answer);
    return rc;
}

/* ---- vectors of other dimensions ---- */

/* Whether the value has as many dimensions as the row's vector. For dense vectors the size
 * tells. */
static int is_alike(const struct answer *answer, const uint8_t *value, size_t size, bool *out)
{
    enum element element = answer->space.element;
    uint32_t dims;
    *out = size == answer->key_vector.size;
    if (element == ELEMENT_FLOAT32 || element == ELEMENT_FLOAT16)
        return 0;
    int rc = value_dims(element, value, size, &dims);
    *out = rc == 0 && dims == answer->space.dims;
    return rc < 0 ? error_set(answer->error, -EIO, "a value of column \"%s\" is no vector",
                              answer_column_name(answer))
                  : 0;
}

/* Makes a filter that all rows match, so that some can be taken out. */
static int make_filter(struct answer *answer)
{
    uint64_t rows = answer->snapshot->rows;
    if (answer->filter != NULL)
        return 0;
    answer->filter = malloc((rows / 64 + 1) * sizeof *answer->filter);
    if (answer->filter == NULL)
        return error_set(answer->error, -ENOMEM, "no memory for a query");
    memset(answer->filter, 0xFF, (rows / 64 + 1) * sizeof *answer->filter);
    return 0;
}

static int take_out(struct answer *answer, uint64_t row)
{
    uint64_t bit = UINT64_C(1) << (row % 64);
    int rc = make_filter(answer);
    if (rc < 0)
        return rc;
    answer->matched -= (answer->filter[row / 64] & bit) != 0;
    answer->filter[row / 64] &= ~bit;
    answer->mixed = true;
    return 0;
}

/* Takes out the rows of a span whose vectors have other dimensions. `first`: the number of the
 * span's first row. */
static int take_others_out(struct answer *answer, const struct span *span, uint64_t first)
{
    int rc = 0;
    for (uint32_t row = 0; rc == 0 && row < span->rows; row++) {
        size_t size;
        bool alike = true;
        const uint8_t *value = span_value(span, row, &size);
        if (size > 0)
            rc = is_alike(answer, value, size, &alike);
        if (rc == 0 && !alike)
            rc = take_out(answer, first + row);
    }
    return rc;
}

int answer_alike(struct answer *answer)
{
    enum element element = answer->space.element;
    bool dense = element == ELEMENT_FLOAT32 || element == ELEMENT_FLOAT16;
    uint64_t first = 0;
    int rc = 0;
    if (!answer->by_key || answer->typed)
        return 0;
    for (size_t i = 0; rc == 0 && i < answer->span_count; i++) {
        const struct span *span = &answer->spans[i];
        if (answer->stop != NULL && *answer->stop)
            return error_set(answer->error, -EINTR, "stopped");
        if (!dense || span->fixed != answer->key_vector.size)
            rc = take_others_out(answer, span, first);
        first += span->rows;
    }
    return rc;
}
