#include "codec/array_column.h"

#include "codec/big_endian.h"
#include "codec/vector_limits.h"

#include <errno.h>
#include <stdlib.h>

enum { FRONT = 4, DAYS_TO_2000 = 10957 };
#define MICROSECONDS_TO_2000 INT64_C(946684800000000)

static const struct array_kind kinds[] = {
    {NULL, "bool", "|b1", ARRAY_NUMBERS, 1, 1},
    {NULL, "int2", "<i2", ARRAY_NUMBERS, 2, 1},
    {NULL, "int4", "<i4", ARRAY_NUMBERS, 4, 1},
    {NULL, "int8", "<i8", ARRAY_NUMBERS, 8, 1},
    {NULL, "oid", "<u4", ARRAY_NUMBERS, 4, 1},
    {NULL, "float4", "<f4", ARRAY_NUMBERS, 4, 1},
    {NULL, "float8", "<f8", ARRAY_NUMBERS, 8, 1},
    {NULL, "date", "<M8[D]", ARRAY_DAYS, 8, 1},
    {NULL, "timestamp", "<M8[us]", ARRAY_MICROSECONDS, 8, 1},
    {NULL, "timestamptz", "<M8[us]", ARRAY_MICROSECONDS, 8, 1},
    {NULL, "uuid", "|u1", ARRAY_NUMBERS, 1, 16},
    {NULL, "bit", "|u1", ARRAY_BITS, 1, 0},
    {"vector", "vector", "<f4", ARRAY_DENSE, 4, 0},
    {"vector", "halfvec", "<f2", ARRAY_DENSE, 2, 0},
};

/* A domain's name may end as if it told a number, if it is in quotes. */
uint32_t array_declared(const struct column *column)
{
    const char *open = strrchr(column->type_name, '(');
    char *end;
    if (strcmp(column->type_name, "bit") == 0)
        return 1;
    if (open == NULL)
        return 0;
    unsigned long number = strtoul(open + 1, &end, 10);
    return end > open + 1 && strcmp(end, ")") == 0 && number <= BITS_MOST ? (uint32_t)number : 0;
}

const struct array_kind *array_kind_of(const struct column *column)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (column->type != NULL && column->type == type_find(kinds[i].extension, kinds[i].type))
            return kinds[i].wire == ARRAY_BITS && array_declared(column) == 0 ? NULL : &kinds[i];
    return NULL;
}

uint32_t array_numbers(const struct array_kind *kind, const struct column *column)
{
    if (kind->numbers > 0)
        return kind->numbers;
    uint32_t declared = array_declared(column);
    return kind->wire == ARRAY_BITS ? (declared + 7) / 8 : declared;
}

static size_t wire_size(const struct array_kind *kind, uint32_t numbers)
{
    size_t bytes = (size_t)kind->width * numbers;
    return kind->wire == ARRAY_DAYS                                ? 4
           : kind->wire == ARRAY_DENSE || kind->wire == ARRAY_BITS ? FRONT + bytes
                                                                   : bytes;
}

static int refuse(struct formless *formless, const char *why)
{
    formless->why = why;
    return -EDOM;
}

static int look_at_dense(const struct array_kind *kind, uint32_t numbers, const uint8_t *wire,
                         size_t size, struct formless *formless)
{
    size_t dims = size < FRONT ? 0 : load_be16(wire);
    if (dims < 1 || dims > VECTOR_DIMS_MOST || size != wire_size(kind, (uint32_t)dims))
        return -EBADMSG;
    return dims == numbers ? 0 : refuse(formless, "a vector with another number of dimensions");
}

static int look_at_bits(uint32_t declared, const uint8_t *wire, size_t size,
                        struct formless *formless)
{
    size_t bits = size < FRONT ? SIZE_MAX : load_be32(wire);
    if (bits > BITS_MOST || size != FRONT + (bits + 7) / 8)
        return -EBADMSG;
    return bits == declared ? 0 : refuse(formless, "a bit string of another length");
}

static int look_at_time(const struct array_kind *kind, const uint8_t *wire, size_t size,
                        struct formless *formless)
{
    if (size != wire_size(kind, 1))
        return -EBADMSG;
    if (kind->wire == ARRAY_DAYS) {
        int32_t days = (int32_t)load_be32(wire);
        return days == INT32_MIN || days == INT32_MAX ? refuse(formless, "infinity") : 0;
    }
    int64_t time = (int64_t)load_be64(wire);
    if (time == INT64_MIN || time == INT64_MAX)
        return refuse(formless, "infinity");
    return time > INT64_MAX - MICROSECONDS_TO_2000
               ? refuse(formless, "a timestamp after the year 294246")
               : 0;
}

/* A value that is not NULL. `declared`: of a bit string. */
static int look_at(const struct array_kind *kind, uint32_t declared, uint32_t numbers,
                   const uint8_t *wire, size_t size, struct formless *formless)
{
    switch (kind->wire) {
    case ARRAY_DENSE:
        return look_at_dense(kind, numbers, wire, size, formless);
    case ARRAY_BITS:
        return look_at_bits(declared, wire, size, formless);
    case ARRAY_DAYS:
    case ARRAY_MICROSECONDS:
        return look_at_time(kind, wire, size, formless);
    case ARRAY_NUMBERS:
        break;
    }
    return size == wire_size(kind, numbers) ? 0 : -EBADMSG;
}

int array_survey(const struct column *column, const struct rowgroup *group, uint32_t *numbers,
                 struct formless *formless)
{
    const struct array_kind *kind = array_kind_of(column);
    const struct run *run = &group->runs[column->part[PART_BINARY]];
    uint32_t declared = array_declared(column), known = array_numbers(kind, column);
    bool tell = known == 0; /* the values do */
    struct run_cursor cursor = {.run = run};
    int rc = 0;
    if (array_is_plain(kind, run)) {
        *numbers = known;
        return 0;
    }
    for (uint32_t row = 0; rc == 0 && row < group->rows; row++) {
        const uint8_t *wire;
        size_t size;
        formless->row = row;
        if (!run_next(&cursor, &wire, &size)) {
            rc = tell ? refuse(formless,
                               "NULL, if the type does not say how many dimensions there are,")
                      : 0;
            continue;
        }
        if (tell && known == 0 && size >= FRONT)
            known = load_be16(wire);
        rc = look_at(kind, declared, known, wire, size, formless);
    }
    if (rc == 0)
        *numbers = known;
    return rc;
}

int array_formless(const struct schema *schema, const struct rowgroup *group, struct formless *out)
{
    uint32_t numbers;
    out->column = 0;
    int rc = array_survey(&schema->columns[0], group, &numbers, out);
    return rc == -EDOM ? 0 : rc < 0 ? rc : -ENOENT;
}

int array_measure(const struct schema *schema, const struct rowgroup *group, size_t front,
                  struct buffer *note, uint64_t *size)
{
    struct formless formless;
    const struct column *column = &schema->columns[0];
    const struct array_kind *kind = array_kind_of(column);
    uint32_t numbers;
    uint8_t bytes[4];
    int rc = array_survey(column, group, &numbers, &formless);
    if (rc == 0 && array_numbers(kind, column) == 0 && numbers > 0) {
        store_le32(bytes, numbers);
        rc = buffer_append(note, bytes, sizeof bytes);
    }
    if (rc == 0)
        *size = group->rows * (front + (uint64_t)kind->width * numbers);
    return rc;
}

int array_numbers_of(const struct format_view *view, uint32_t *numbers)
{
    const struct column *column = &view->schema->columns[0];
    uint32_t known = array_numbers(array_kind_of(column), column);
    for (size_t i = 0; known == 0 && view->notes != NULL && i < view->groups; i++)
        known = view->notes[i].size == 4 ? load_le32(view->notes[i].bytes) : 0;
    for (size_t i = 0; view->notes != NULL && i < view->groups; i++)
        if (view->notes[i].size == 4 && load_le32(view->notes[i].bytes) != known)
            return -EDOM;
    *numbers = known;
    return 0;
}

int array_write(const struct array_kind *kind, const struct column *column, uint32_t numbers,
                const uint8_t *wire, size_t size, uint8_t *to)
{
    struct formless formless = {0};
    uint32_t declared = kind->wire == ARRAY_BITS ? array_declared(column) : 0;
    int rc = look_at(kind, declared, numbers, wire, size, &formless);
    if (rc < 0)
        return -EBADMSG;
    switch (kind->wire) {
    case ARRAY_DAYS:
        store_le64(to, (uint64_t)((int64_t)(int32_t)load_be32(wire) + DAYS_TO_2000));
        break;
    case ARRAY_MICROSECONDS:
        store_le64(to, load_be64(wire) + (uint64_t)MICROSECONDS_TO_2000);
        break;
    case ARRAY_DENSE:
        big_endian_copy(to, wire + FRONT, numbers, kind->width);
        break;
    case ARRAY_BITS:
        memcpy(to, wire + FRONT, numbers);
        if (declared % 8 != 0) /* servers before 2019 could store ones behind the last bit */
            to[numbers - 1] &= (uint8_t)(0xff00 >> declared % 8);
        break;
    case ARRAY_NUMBERS:
        big_endian_copy(to, wire, numbers, kind->width);
        break;
    }
    return 0;
}
