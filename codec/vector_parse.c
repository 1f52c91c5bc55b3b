#include "codec/vector_parse.h"

#include "codec/bytes.h"
#include "codec/decimal.h"
#include "codec/npy.h"
#include "codec/vector_limits.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* One line that is being read. */
struct line {
    const char *start, *at, *end;
    size_t number;
    const struct vector_form *form;
    struct vector_batch *out;
    struct error *error;
};

static size_t position(const struct line *line) { return (size_t)(line->at - line->start) + 1; }

static int bad(const struct line *line, const char *what)
{
    return error_set(line->error, -EINVAL, "line %zu, position %zu: %s", line->number,
                     position(line), what);
}

static int no_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "no memory for the vector");
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void skip_blanks(struct line *line)
{
    while (line->at < line->end && is_blank(*line->at))
        line->at++;
}

static bool accept(struct line *line, char c)
{
    skip_blanks(line);
    if (line->at == line->end || *line->at != c)
        return false;
    line->at++;
    return true;
}

/* ---- what is written ---- */

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* To the nearest half, ties to even. 0x7c00: too large. */
static uint16_t half_of(float value)
{
    uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size >= 0x477ff000) /* 65520 and more */
        return (uint16_t)(sign | 0x7c00);
    if (size < 0x38800000) { /* below the smallest normal half, 2^-14: a multiple of 2^-24 */
        float magnitude;
        memcpy(&magnitude, &size, sizeof magnitude);
        return (uint16_t)(sign | (uint32_t)lrintf(magnitude * 0x1p24F));
    }
    uint32_t rest = size & 0x1fff, half = (size >> 13) - (112 << 10);
    half += rest > 0x1000 || (rest == 0x1000 && (half & 1));
    return (uint16_t)(sign | half);
}

/* A value is complete: the next one begins behind it. */
static int end_value(struct vector_batch *out, uint32_t dims)
{
    size_t end = out->values.size;
    int rc = buffer_append(&out->ends, &end, sizeof end);
    if (rc == 0) {
        out->dims = dims;
        out->count++;
    }
    return rc;
}

/* To be asked after each vector: what is too much is not read to its end. */
static int check_room(const struct vector_form *form, const struct vector_batch *out,
                      struct error *error)
{
    if (form->most != 0 && out->count > form->most)
        return error_set(error, -EINVAL,
                         "more than %zu vectors at once are too many: ask with fewer, or for fewer "
                         "rows each",
                         form->most);
    if (form->bytes_most != 0 && out->values.size + out->ends.size > form->bytes_most)
        return error_set(error, -EINVAL,
                         "more than %zu MiB of vectors at once: ask with fewer, or mount with more "
                         "memory",
                         form->bytes_most >> 20);
    return 0;
}

static uint32_t wanted_dims(const struct vector_form *form, const struct vector_batch *out)
{
    return form->dims != 0 ? form->dims : out->dims;
}

static int check_dims(const struct line *line, uint64_t dims)
{
    uint32_t wanted = wanted_dims(line->form, line->out);
    if (wanted == 0 || dims == wanted)
        return 0;
    return error_set(line->error, -EINVAL,
                     line->form->dims != 0 ? "line %zu: a vector of %" PRIu64
                                             " dimensions, but the column has %" PRIu32
                                           : "line %zu: a vector of %" PRIu64
                                             " dimensions, those before have %" PRIu32,
                     line->number, dims, wanted);
}

/* ---- numbers ---- */

static int take_number(struct line *line, float *out)
{
    skip_blanks(line);
    const char *end = decimal_float(line->at, line->end, out);
    if (end == NULL)
        return bad(line, "not a number");
    if (isnan(*out))
        return bad(line, "NaN is not allowed in a vector");
    if (isinf(*out))
        return bad(line, "out of range for a vector's numbers");
    if (line->form->kind == VECTOR_FLOAT16 && (half_of(*out) & 0x7fff) == 0x7c00)
        return bad(line, "out of range for a halfvec, whose numbers end at 65504");
    line->at = end;
    return 0;
}

static int take_whole(struct line *line, uint64_t most, const char *what, uint64_t *out)
{
    skip_blanks(line);
    const char *start = line->at;
    uint64_t value = 0;
    while (line->at < line->end && *line->at >= '0' && *line->at <= '9' && value <= most)
        value = value * 10 + (uint64_t)(*line->at++ - '0');
    if (line->at == start || value < 1 || value > most) {
        line->at = start;
        return bad(line, what);
    }
    *out = value;
    return 0;
}

static inline int put_number(struct buffer *values, enum vector_kind kind, float number)
{
    int rc = buffer_reserve(values, 4);
    if (rc < 0)
        return rc;
    if (kind == VECTOR_FLOAT16) {
        store_be16(values->data + values->size, half_of(number));
        values->size += 2;
    } else {
        store_be32(values->data + values->size, float_bits(number));
        values->size += 4;
    }
    return 0;
}

/* ---- vector and halfvec ---- */

static int begin_dense(struct vector_batch *out, uint32_t dims)
{
    int rc = buffer_reserve(&out->values, 4 + 4 * (size_t)dims);
    if (rc < 0)
        return rc;
    memset(out->values.data + out->values.size, 0, 4);
    out->values.size += 4;
    return 0;
}

static int parse_dense(struct line *line)
{
    struct buffer *values = &line->out->values;
    size_t head = values->size, dims = 0;
    if (!accept(line, '['))
        return bad(line, "a vector begins with [, as in [1,2,3]");
    int rc = begin_dense(line->out, wanted_dims(line->form, line->out));
    do {
        float number;
        if (rc == 0)
            rc = take_number(line, &number);
        if (rc == 0 && ++dims > VECTOR_DIMS_MOST)
            rc = bad(line, "a vector has 16000 dimensions at most");
        if (rc == 0 && put_number(values, line->form->kind, number) < 0)
            rc = -ENOMEM;
        if (rc < 0)
            return rc == -ENOMEM ? no_memory(line->error) : rc;
    } while (accept(line, ','));
    if (!accept(line, ']'))
        return bad(line, "a comma or ] is missing");
    store_be16(values->data + head, (uint16_t)dims);
    rc = check_dims(line, dims);
    if (rc == 0 && end_value(line->out, (uint32_t)dims) < 0)
        rc = no_memory(line->error);
    return rc;
}

/* ---- sparsevec ---- */

struct element {
    uint32_t index; /* from 0 */
    float value;
};

static int by_index(const void *a, const void *b)
{
    const struct element *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int put_sparse(struct vector_batch *out, const struct element *elements, size_t count,
                      uint32_t dims)
{
    struct buffer *values = &out->values;
    int rc = buffer_reserve(values, 12 + 8 * count);
    if (rc < 0)
        return rc;
    uint8_t *at = values->data + values->size;
    store_be32(at, dims);
    store_be32(at + 4, (uint32_t)count);
    store_be32(at + 8, 0);
    for (size_t i = 0; i < count; i++) {
        store_be32(at + 12 + 4 * i, elements[i].index);
        store_be32(at + 12 + 4 * (count + i), float_bits(elements[i].value));
    }
    values->size += 12 + 8 * count;
    return end_value(out, dims);
}

/* Behind `{`, which has been read: the elements in any order, but zeros. */
static int take_elements(struct line *line, struct buffer *list)
{
    if (accept(line, '}'))
        return 0;
    do {
        struct element element;
        uint64_t index;
        int rc = take_whole(line, SPARSEVEC_DIMS_MOST, "not a dimension: they are counted from 1",
                            &index);
        if (rc == 0 && !accept(line, ':'))
            rc = bad(line, "a colon is missing");
        if (rc == 0)
            rc = take_number(line, &element.value);
        if (rc < 0)
            return rc;
        element.index = (uint32_t)index - 1;
        if (element.value != 0 && buffer_append(list, &element, sizeof element) < 0)
            return no_memory(line->error);
        if (list->size / sizeof element > SPARSEVEC_VALUES_MOST)
            return bad(line, "a sparsevec has 16000 values at most that are not 0");
    } while (accept(line, ','));
    return accept(line, '}') ? 0 : bad(line, "a comma or } is missing");
}

static int parse_sparse(struct line *line)
{
    struct buffer list = {0};
    uint64_t dims = 0;
    if (!accept(line, '{'))
        return bad(line, "a sparsevec begins with {, as in {1:0.5,7:2}/300");
    int rc = take_elements(line, &list);
    if (rc == 0 && !accept(line, '/'))
        rc = bad(line, "/ and the number of dimensions are missing");
    if (rc == 0)
        rc = take_whole(line, SPARSEVEC_DIMS_MOST, "not a number of dimensions", &dims);
    struct element *elements = (void *)list.data;
    size_t count = list.size / sizeof *elements;
    if (rc == 0 && count > 0) {
        qsort(elements, count, sizeof *elements, by_index);
        for (size_t i = 1; rc == 0 && i < count; i++)
            if (elements[i].index == elements[i - 1].index)
                rc = error_set(line->error, -EINVAL, "line %zu: dimension %" PRIu32 " is set twice",
                               line->number, elements[i].index + 1);
        if (rc == 0 && elements[count - 1].index >= dims)
            rc =
                error_set(line->error, -EINVAL,
                          "line %zu: dimension %" PRIu32 " is beyond the %" PRIu64 " of the vector",
                          line->number, elements[count - 1].index + 1, dims);
    }
    if (rc == 0)
        rc = check_dims(line, dims);
    if (rc == 0 && put_sparse(line->out, elements, count, (uint32_t)dims) < 0)
        rc = no_memory(line->error);
    buffer_clear(&list);
    return rc;
}

/* ---- bits ---- */

static int parse_bits(struct line *line)
{
    struct buffer *values = &line->out->values;
    const char *end = line->at;
    while (end < line->end && (*end == '0' || *end == '1'))
        end++;
    size_t bits = (size_t)(end - line->at), bytes = (bits + 7) / 8;
    if (bits == 0 || bits > BITS_MOST || (end < line->end && !is_blank(*end))) {
        line->at = end;
        return bad(line, "bits are written as 0 and 1, as in 0101");
    }
    if (buffer_reserve(values, 4 + bytes) < 0)
        return no_memory(line->error);
    uint8_t *at = values->data + values->size;
    store_be32(at, (uint32_t)bits);
    memset(at + 4, 0, bytes);
    for (size_t i = 0; i < bits; i++)
        at[4 + i / 8] |= (uint8_t)((line->at[i] - '0') << (7 - i % 8));
    values->size += 4 + bytes;
    line->at = end;
    int rc = check_dims(line, bits);
    if (rc == 0 && end_value(line->out, (uint32_t)bits) < 0)
        rc = no_memory(line->error);
    return rc;
}

/* ---- text ---- */

static int parse_line(struct line *line)
{
    skip_blanks(line);
    if (line->at == line->end)
        return 0;
    enum vector_kind kind = line->form->kind;
    int rc = kind == VECTOR_BIT      ? parse_bits(line)
             : kind == VECTOR_SPARSE ? parse_sparse(line)
                                     : parse_dense(line);
    if (rc < 0)
        return rc;
    skip_blanks(line);
    return line->at == line->end ? 0 : bad(line, "something stands behind the vector");
}

static int parse_text(const struct vector_form *form, const uint8_t *bytes, size_t size,
                      struct vector_batch *out, struct error *error)
{
    const char *at = (const char *)bytes, *end = at + size;
    struct line line = {.form = form, .out = out, .error = error};
    size_t blank = 0; /* the first blank line's number */
    int rc = 0;
    while (rc == 0 && at < end) {
        size_t before = out->count;
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        line.start = line.at = at;
        line.end = newline != NULL ? newline : end;
        line.number++;
        rc = parse_line(&line);
        if (rc == 0)
            rc = check_room(form, out, error);
        if (out->count == before && blank == 0)
            blank = line.number;
        else if (rc == 0 && out->count > 1 && blank != 0 && out->count > before)
            rc = error_set(
                error, -EINVAL,
                "line %zu is blank: take it out, or the vectors behind it would be counted "
                "as if it were not there",
                blank);
        at = newline != NULL ? newline + 1 : end;
    }
    return rc;
}

/* ---- float32 ---- */

static int bad_number(float number, size_t vector, size_t dimension, struct error *error)
{
    return error_set(error, -EINVAL, "vector %zu, dimension %zu: %s", vector + 1, dimension + 1,
                     isnan(number)   ? "NaN is not allowed in a vector"
                     : isinf(number) ? "infinity is not allowed in a vector"
                                     : "out of range for a halfvec, whose numbers end at 65504");
}

static bool fits(enum vector_kind kind, float number)
{
    return isfinite(number) && (kind != VECTOR_FLOAT16 || (half_of(number) & 0x7fff) != 0x7c00);
}

static int take_dense(enum vector_kind kind, const struct npy *array, size_t vector,
                      struct vector_batch *out, struct error *error)
{
    size_t head = out->values.size;
    int rc = begin_dense(out, (uint32_t)array->columns);
    for (size_t i = 0; rc == 0 && i < array->columns; i++) {
        float number = npy_number(array, vector * array->columns + i);
        if (!fits(kind, number))
            return bad_number(number, vector, i, error);
        rc = put_number(&out->values, kind, number);
    }
    if (rc == 0)
        store_be16(out->values.data + head, (uint16_t)array->columns);
    return rc < 0 ? rc : end_value(out, (uint32_t)array->columns);
}

static int take_thinned(const struct npy *array, size_t vector, struct vector_batch *out,
                        struct error *error)
{
    struct buffer list = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < array->columns; i++) {
        struct element element = {(uint32_t)i, npy_number(array, vector * array->columns + i)};
        if (!isfinite(element.value))
            rc = bad_number(element.value, vector, i, error);
        else if (element.value != 0)
            rc = buffer_append(&list, &element, sizeof element);
    }
    size_t count = list.size / sizeof(struct element);
    if (rc == 0 && count > SPARSEVEC_VALUES_MOST)
        rc = error_set(error, -EINVAL,
                       "vector %zu: a sparsevec has 16000 values at most that are not 0",
                       vector + 1);
    if (rc == 0)
        rc = put_sparse(out, (const struct element *)(void *)list.data, count,
                        (uint32_t)array->columns);
    buffer_clear(&list);
    return rc;
}

static int parse_array(const struct vector_form *form, const struct npy *array,
                       struct vector_batch *out, struct error *error)
{
    uint64_t most = form->kind == VECTOR_SPARSE ? SPARSEVEC_DIMS_MOST : VECTOR_DIMS_MOST;
    if (form->kind == VECTOR_BIT)
        return error_set(error, -EINVAL, "bits are written as text, as in 0101");
    if (form->dims != 0 && array->columns != form->dims)
        return error_set(error, -EINVAL,
                         "an array of vectors of %zu dimensions, but the column has %" PRIu32,
                         array->columns, form->dims);
    if (array->columns == 0 || array->columns > most)
        return error_set(error, -EINVAL, "vectors of %zu dimensions; there are 1 to %" PRIu64,
                         array->columns, most);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < array->rows; i++) {
        rc = form->kind == VECTOR_SPARSE ? take_thinned(array, i, out, error)
                                         : take_dense(form->kind, array, i, out, error);
        if (rc == 0)
            rc = check_room(form, out, error);
    }
    return rc == -ENOMEM ? no_memory(error) : rc;
}

static int parse_raw(const struct vector_form *form, const uint8_t *bytes, size_t size,
                     struct vector_batch *out, struct error *error)
{
    size_t dims = form->dims != 0 ? form->dims : size / 4;
    if (form->kind == VECTOR_BIT)
        return error_set(error, -EINVAL, "bits are written as text, as in 0101");
    if (dims == 0 || size % (4 * dims) != 0)
        return error_set(error, -EINVAL,
                         "%zu bytes that are not text; vectors of %zu dimensions as float32 take "
                         "%zu bytes each",
                         size, dims, 4 * dims);
    struct npy array = {
        .data = bytes, .element = NPY_FLOAT32, .rows = size / (4 * dims), .columns = dims};
    return parse_array(form, &array, out, error);
}

/* ---- all ---- */

static inline bool is_odd(uint8_t byte)
{
    return (byte < ' ' && !is_blank((char)byte)) || byte > '~';
}

/* Looks at eight bytes at a time, as long as all are between ' ' and '~'. */
static bool is_text(const uint8_t *bytes, size_t size)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = 0x80 * ones;
    for (size_t i = 0; i < size;) {
        uint64_t eight = i + 8 <= size ? load_le64(bytes + i) : 0;
        bool plain = (((eight - ' ' * ones) | (eight + ones) | eight) & high) == 0;
        if (!plain && is_odd(bytes[i]))
            return false;
        i += plain ? 8 : 1;
    }
    return true;
}

int vector_parse(const struct vector_form *form, const uint8_t *bytes, size_t size,
                 struct vector_batch *out, struct error *error)
{
    struct vector_batch batch = {0};
    int rc;
    if (npy_is(bytes, size)) {
        struct npy array;
        rc = npy_open(bytes, size, &array, error);
        if (rc == 0)
            rc = parse_array(form, &array, &batch, error);
    } else if (is_text(bytes, size)) {
        rc = parse_text(form, bytes, size, &batch, error);
    } else {
        rc = parse_raw(form, bytes, size, &batch, error);
    }
    if (rc == 0 && batch.count == 0)
        rc = error_set(error, -EINVAL, "there is no vector");
    if (rc < 0)
        vector_batch_clear(&batch);
    else
        *out = batch;
    return rc;
}

void vector_batch_clear(struct vector_batch *batch)
{
    buffer_clear(&batch->values);
    buffer_clear(&batch->ends);
    *batch = (struct vector_batch){0};
}

const uint8_t *vector_batch_value(const struct vector_batch *batch, size_t number, size_t *size)
{
    size_t first = 0, end;
    if (number > 0)
        memcpy(&first, batch->ends.data + (number - 1) * sizeof first, sizeof first);
    memcpy(&end, batch->ends.data + number * sizeof end, sizeof end);
    *size = end - first;
    return batch->values.data + first;
}
