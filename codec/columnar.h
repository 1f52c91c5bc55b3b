/* Columns as columnar files have them (Arrow, Parquet, npy): which form the values of a column have
 * there, and the values of one row group in that form, little-endian.
 *
 * kind          width   a value
 * BOOL          1       0 or 1
 * INT16, INT32, INT64, UINT32, FLOAT, DOUBLE     as their names say
 * DATE          4       int32, days since 1970-01-01
 * TIME          8       int64, microseconds since midnight
 * TIMESTAMP     8       int64, microseconds since 1970-01-01 00:00, of no time zone
 * TIMESTAMPTZ   8       the same, of UTC
 * DECIMAL       16      int128: the number, times 10^scale
 * FIXED         n       bytes: a uuid; the bits of a bit(n), the first is the highest of its byte
 * FLOATS        4n, 0   n float32; width 0: each value has a number of its own (from 1 on)
 * HALVES        2n, 0   n float16; the same
 * TEXT, JSON    0       UTF-8
 * BINARY        0       bytes
 * SPARSE        0       columnar_sparse() gives its parts; it counts as 8 bytes for each element
 *
 * A type that has no row here is TEXT, as COPY prints it: arrays, composites, ranges, enums,
 * intervals, numeric without a precision (or of more than 38 digits, or a scale that is negative or
 * larger than that), varbit, bit and vectors whose type does not say how long they are (these are of
 * width 0). A domain is as its type, but nothing is known of that type's length or precision.
 *
 * Some values have no form: an infinite date or timestamp, a timestamp beyond int64, 24:00:00, NaN
 * or infinity in a DECIMAL, text that is not UTF-8, and what is not as long as its type says.
 *
 * The columns of a file are those that are in_copy, as in .csv.
 *
 * Threads: pure functions.
 * Errors: -EDOM a value has no form; -EBADMSG the bytes are not a value of the type; -ENOMEM.
 */
#ifndef CODEC_COLUMNAR_H
#define CODEC_COLUMNAR_H

#include "codec/format.h"

enum columnar_kind {
    COLUMNAR_BOOL,
    COLUMNAR_INT16,
    COLUMNAR_INT32,
    COLUMNAR_INT64,
    COLUMNAR_UINT32,
    COLUMNAR_FLOAT,
    COLUMNAR_DOUBLE,
    COLUMNAR_DATE,
    COLUMNAR_TIME,
    COLUMNAR_TIMESTAMP,
    COLUMNAR_TIMESTAMPTZ,
    COLUMNAR_DECIMAL,
    COLUMNAR_FIXED,
    COLUMNAR_FLOATS,
    COLUMNAR_HALVES,
    COLUMNAR_TEXT,
    COLUMNAR_JSON,
    COLUMNAR_BINARY,
    COLUMNAR_SPARSE,
    COLUMNAR_KINDS
};

struct columnar_form {
    enum columnar_kind kind;
    enum part_kind part; /* the values are made of this part */
    uint8_t wire;        /* how that part holds them: an enum of columnar.c */
    uint32_t width;      /* bytes of each value; 0: they differ */
    uint32_t count;      /* FLOATS, HALVES: elements of each; FIXED: bits, 0 of a uuid; else 0 */
    uint8_t precision, scale; /* DECIMAL */
};

/* The parts that a columnar format needs of columns which are not rendered here. */
#define COLUMNAR_PARTS (1U << PART_TEXT)

/* Whether the schema holds the parts of all columns that are in_copy. */
bool columnar_possible(const struct schema *schema);

/* The form of a column that is in_copy. */
struct columnar_form columnar_form(const struct column *column);

/* The values of the column in a group. */
static inline const struct run *columnar_run(const struct column *column,
                                             const struct columnar_form *form,
                                             const struct rowgroup *group)
{
    return &group->runs[column->part[form->part]];
}

struct columnar_size {
    uint32_t nulls;
    uint64_t bytes; /* of the values; NULLs have none */
};

/* Looks at every value. What follows is asked only of a run for which this did not fail, and then
 * does not fail either. A group has at most INT32_MAX bytes of a column without a width (-EDOM). */
MUST_CHECK int columnar_measure(const struct columnar_form *form, const struct run *run,
                                uint32_t rows, struct columnar_size *out);

/* Finds the first value without a form, column by column: what format->formless is. -ENOENT: there
 * is none. */
MUST_CHECK int columnar_formless(const struct schema *schema, const struct rowgroup *group,
                                 struct formless *out);

/* Writes the values one behind another. `gaps`: a NULL takes as much as any value, in zeros; only if
 * the form has a width. Not of SPARSE. There is room for what columnar_measure said, and for the
 * gaps. */
MUST_CHECK int columnar_fill(const struct columnar_form *form, const struct run *run, uint32_t rows,
                             bool gaps, uint8_t *out);

/* A single value that columnar_measure has looked at: its bytes in this form, and those written. */
uint64_t columnar_value_size(const struct columnar_form *form, const uint8_t *wire, size_t size);
MUST_CHECK int columnar_write(const struct columnar_form *form, const uint8_t *wire, size_t size,
                              uint8_t *out);

/* Of BOOL: the values as bits, the first is the lowest of its byte; (rows + 7) / 8 bytes with
 * gaps. Returns how many values there were. */
uint32_t columnar_bits(const struct run *run, uint32_t rows, bool gaps, uint8_t *out);

/* A bit for each row, in the same order: 1 is a value, 0 a NULL. (rows + 7) / 8 bytes. */
void columnar_validity(const struct run *run, uint32_t rows, uint8_t *out);

/* Where each value begins in what columnar_fill writes without gaps: int32, rows + 1 of them, in
 * units of `unit` bytes. Not of values that columnar_measure failed for. */
void columnar_offsets(const struct columnar_form *form, const struct run *run, uint32_t rows,
                      uint32_t unit, uint8_t *out);

/* A sparsevec: `count` elements, big-endian; indices are counted from 0 here, from 1 in its text. */
struct columnar_sparse {
    uint32_t dim, count;
    const uint8_t *indices, *values; /* int32, float32 */
};
MUST_CHECK int columnar_sparse(const uint8_t *wire, size_t size, struct columnar_sparse *out);

#endif
