/* A column whose values all are so and so many numbers of one width: what can stand in an array.
 *
 *   numbers per row
 *   1            bool, int2, int4, int8, oid, float4, float8; date as days, timestamp as
 *                microseconds since 1970
 *   16           uuid: its bytes
 *   n            vector(n), halfvec(n); bit(8n - 7) to bit(8n): its bytes, the first bit is the
 *                highest
 *   of the rows  vector, halfvec without a number: that of its values, which then must agree, none
 *                of them NULL
 *
 * On the wire numbers are big-endian; those of vectors and of bit strings have 4 bytes in front.
 *
 * Threads: pure functions.
 * Errors: -EDOM a value has no place in such an array; -EBADMSG a value that is none of its type.
 */
#ifndef CODEC_ARRAY_COLUMN_H
#define CODEC_ARRAY_COLUMN_H

#include "codec/format.h"

enum array_wire {
    ARRAY_NUMBERS, /* as they are */
    ARRAY_DAYS,    /* i32, since 2000 */
    ARRAY_MICROSECONDS,
    ARRAY_DENSE, /* u16 how many, u16 0 */
    ARRAY_BITS   /* i32 how many bits */
};

struct array_kind {
    const char *extension, *type; /* as in type.h */
    const char *descr;            /* NumPy's name of the numbers' type */
    enum array_wire wire;
    uint8_t width;   /* bytes of a number in the file */
    uint8_t numbers; /* of a row; 0: the column tells */
};

/* NULL: its values are no such arrays. */
const struct array_kind *array_kind_of(const struct column *column);

/* How many bits of bit(n), or how many dimensions of a vector, the column's type names; 0: it does
 * not. */
uint32_t array_declared(const struct column *column);

/* The numbers of each row; 0: the values tell. */
uint32_t array_numbers(const struct array_kind *kind, const struct column *column);

/* Looks at all values of the group. `*numbers`: of each row; 0: there are no rows that tell. -EDOM:
 * `formless` says which value. */
MUST_CHECK int array_survey(const struct column *column, const struct rowgroup *group,
                            uint32_t *numbers, struct formless *formless);

/* As format->formless. */
MUST_CHECK int array_formless(const struct schema *schema, const struct rowgroup *group,
                              struct formless *out);

/* A survey of a format whose bodies have `front` bytes and the numbers for each row. Its note is the
 * numbers of a row (u32, little-endian), if the column does not tell them, and there are rows. */
MUST_CHECK int array_measure(const struct schema *schema, const struct rowgroup *group,
                             size_t front, struct buffer *note, uint64_t *size);

/* The numbers of each row of the whole file, by those notes. -EDOM: they differ. */
MUST_CHECK int array_numbers_of(const struct format_view *view, uint32_t *numbers);

/* Writes a value of so many numbers, which is not NULL. */
MUST_CHECK int array_write(const struct array_kind *kind, const struct column *column,
                           uint32_t numbers, const uint8_t *wire, size_t size, uint8_t *to);

/* Whether the values of a run that has no NULLs stand in the file as they are, but for their byte
 * order. */
static inline bool array_is_plain(const struct array_kind *kind, const struct run *run)
{
    return kind->wire == ARRAY_NUMBERS && run->fixed == (uint32_t)kind->width * kind->numbers;
}

#endif
