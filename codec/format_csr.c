/* A column of sparse vectors as the three arrays of a CSR matrix, a row of which is a row of the
 * table, or empty if that is NULL:
 *
 *   .data.npy     <f4  the values that are stored, row by row
 *   .indices.npy  <i4  the dimension of each, from 0, ascending within a row
 *   .indptr.npy   <i8  where each row begins among them, from 0; one more: where the last one ends
 *
 * The notes tell how long data and indices are: the number of values that each group stores (u64,
 * little-endian). */
#include "codec/big_endian.h"
#include "codec/column_format.h"
#include "codec/npy.h"
#include "codec/vector_limits.h"

#include <errno.h>

enum {
    FRONT = 12
}; /* i32 dimensions, i32 how many are stored, i32 0; then all indices, then all values */

static bool csr_possible(const struct schema *schema)
{
    const struct column *column = &schema->columns[0];
    return schema->column_count == 1 && column->type != NULL &&
           column->type == type_find("vector", "sparsevec") &&
           column->part[PART_BINARY] != PART_NONE;
}

/* How many values it stores; negative: it is no sparse vector. */
static int64_t stored_in(const uint8_t *wire, size_t size)
{
    if (size < FRONT)
        return -1;
    uint32_t dims = load_be32(wire), stored = load_be32(wire + 4);
    if (dims > SPARSEVEC_DIMS_MOST || stored > SPARSEVEC_VALUES_MOST ||
        size != FRONT + 8 * (size_t)stored)
        return -1;
    for (uint32_t i = 0; i < stored; i++) {
        uint32_t index = load_be32(wire + FRONT + 4 * (size_t)i);
        if (index >= dims || (i > 0 && index <= load_be32(wire + FRONT + 4 * (size_t)i - 4)))
            return -1;
    }
    return stored;
}

static const struct run *run_of(const struct schema *schema, const struct rowgroup *group)
{
    return &group->runs[schema->columns[0].part[PART_BINARY]];
}

static int count_stored(const struct schema *schema, const struct rowgroup *group, uint64_t *out)
{
    struct run_cursor cursor = {.run = run_of(schema, group)};
    uint64_t sum = 0;
    for (uint32_t row = 0; row < group->rows; row++) {
        const uint8_t *wire;
        size_t size;
        int64_t stored = run_next(&cursor, &wire, &size) ? stored_in(wire, size) : 0;
        if (stored < 0)
            return -EBADMSG;
        sum += (uint64_t)stored;
    }
    *out = sum;
    return 0;
}

/* `*count`: what is stored. `note` NULL: nobody asks for it. */
static int take_note(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                     uint64_t *count)
{
    uint8_t bytes[8];
    int rc = count_stored(schema, group, count);
    if (rc < 0 || note == NULL)
        return rc;
    store_le64(bytes, *count);
    return buffer_append(note, bytes, sizeof bytes);
}

/* ---- values and indices ---- */

static int elements_head(const struct format_view *view, const char *descr, struct buffer *out)
{
    uint64_t count = 0;
    for (size_t i = 0; view->notes != NULL && i < view->groups; i++)
        count += view->notes[i].size == 8 ? load_le64(view->notes[i].bytes) : 0;
    return npy_put_header(descr, &count, 1, out);
}

static int data_head(const struct format_view *view, struct buffer *out)
{
    return elements_head(view, "<f4", out);
}

static int indices_head(const struct format_view *view, struct buffer *out)
{
    return elements_head(view, "<i4", out);
}

static int elements_survey(const struct schema *schema, const struct rowgroup *group,
                           struct buffer *note, uint64_t *size)
{
    uint64_t count;
    int rc = take_note(schema, group, note, &count);
    if (rc == 0)
        *size = 4 * count;
    return rc;
}

static int elements_body(const struct schema *schema, const struct rowgroup *group, bool values,
                         struct buffer *note, struct buffer *out)
{
    struct run_cursor cursor = {.run = run_of(schema, group)};
    uint64_t count;
    int rc = take_note(schema, group, note, &count);
    if (rc == 0)
        rc = buffer_reserve(out, 4 * count);
    if (rc < 0)
        return rc;
    for (uint32_t row = 0; row < group->rows; row++) {
        const uint8_t *wire;
        size_t size;
        if (!run_next(&cursor, &wire, &size))
            continue;
        size_t stored = load_be32(wire + 4);
        big_endian_copy4(out->data + out->size, wire + FRONT + (values ? 4 * stored : 0), stored);
        out->size += 4 * stored;
    }
    return 0;
}

static int data_body(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                     struct buffer *out)
{
    return elements_body(schema, group, true, note, out);
}

static int indices_body(const struct schema *schema, const struct rowgroup *group,
                        struct buffer *note, struct buffer *out)
{
    return elements_body(schema, group, false, note, out);
}

/* ---- where rows begin ---- */

/* The first row begins at 0: of each row there follows where it ends. */
static int indptr_head(const struct format_view *view, struct buffer *out)
{
    static const uint8_t begin[8];
    uint64_t count = view->rows + 1;
    int rc = npy_put_header("<i8", &count, 1, out);
    return rc < 0 ? rc : buffer_append(out, begin, sizeof begin);
}

static int indptr_survey(const struct schema *schema, const struct rowgroup *group,
                         struct buffer *note, uint64_t *size)
{
    uint64_t count;
    *size = 8 * (uint64_t)group->rows;
    return take_note(schema, group, note, &count);
}

static int indptr_body(const struct schema *schema, const struct rowgroup *group,
                       struct buffer *note, struct buffer *out)
{
    struct run_cursor cursor = {.run = run_of(schema, group)};
    uint64_t count, sum = 0;
    int rc = take_note(schema, group, note, &count);
    if (rc == 0)
        rc = buffer_reserve(out, 8 * (size_t)group->rows);
    if (rc < 0)
        return rc;
    for (uint32_t row = 0; row < group->rows; row++) {
        const uint8_t *wire;
        size_t size;
        sum += run_next(&cursor, &wire, &size) ? load_be32(wire + 4) : 0;
        store_le64(out->data + out->size, sum);
        out->size += 8;
    }
    return 0;
}

const struct format format_indptr_npy = {.name = "indptr.npy",
                                         .number = 19,
                                         .parts = 1 << PART_BINARY,
                                         .notes = true,
                                         .possible = csr_possible,
                                         .head = indptr_head,
                                         .body = indptr_body,
                                         .survey = indptr_survey,
                                         .counts = true,
                                         .whole = true};

const struct format format_indices_npy = {.name = "indices.npy",
                                          .number = 20,
                                          .parts = 1 << PART_BINARY,
                                          .notes = true,
                                          .possible = csr_possible,
                                          .head = indices_head,
                                          .body = indices_body,
                                          .survey = elements_survey,
                                          .whole = true};

const struct format format_data_npy = {.name = "data.npy",
                                       .number = 21,
                                       .parts = 1 << PART_BINARY,
                                       .notes = true,
                                       .possible = csr_possible,
                                       .head = data_head,
                                       .body = data_body,
                                       .survey = elements_survey,
                                       .whole = true};
