/* A strict reader of Parquet files, for tests: it takes only what docs/formats.md says that a
 * .parquet of the mount is, and looks at everything that the file says of itself. It shares no code
 * with the writer.
 *
 * Taken are one-level columns, three-level lists and the groups of sparse vectors; data pages of
 * version 1, PLAIN, uncompressed or zstd, each page with its checksum. The pages stand one behind
 * another from the magic to the footer, in the order of groups and columns, without a gap but for
 * the zeros that a group must have.
 *
 * Values come out one by one, in order: parquet_read hands them to a function.
 */
#ifndef TESTS_PARQUET_FILE_H
#define TESTS_PARQUET_FILE_H

#include <endian.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* ---- what went wrong: the first complaint is kept ---- */

struct complaint {
    char text[200]; /* "": nothing */
};

__attribute__((format(printf, 2, 3))) static inline bool complain(struct complaint *complaint,
                                                                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (complaint->text[0] == '\0')
        vsnprintf(complaint->text, sizeof complaint->text, format, args);
    va_end(args);
    return false;
}

/* ---- Thrift, compact, as a tree ---- */

enum thrift_kind {
    KIND_TRUE = 1,
    KIND_FALSE = 2,
    KIND_I8 = 3,
    KIND_I16 = 4,
    KIND_I32 = 5,
    KIND_I64 = 6,
    KIND_DOUBLE = 7,
    KIND_BYTES = 8,
    KIND_LIST = 9,
    KIND_STRUCT = 12
};

struct thrift_value {
    int id; /* of a field */
    enum thrift_kind kind;
    int64_t number;
    const uint8_t *bytes;
    size_t size;                /* of the bytes */
    struct thrift_value *inner; /* fields or elements */
    size_t count;
};

struct thrift_in {
    const uint8_t *at, *end;
    struct complaint *complaint;
};

static inline void thrift_value_clear(struct thrift_value *value)
{
    for (size_t i = 0; i < value->count; i++)
        thrift_value_clear(&value->inner[i]);
    free(value->inner);
    *value = (struct thrift_value){0};
}

static inline bool in_varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return byte != 0 || shift == 0; /* none is longer than it must be */
    }
    return false;
}

static inline bool thrift_zigzag(struct thrift_in *in, int64_t *out)
{
    uint64_t raw;
    if (!in_varint(&in->at, in->end, &raw))
        return complain(in->complaint, "a number is cut short");
    *out = (int64_t)(raw >> 1 ^ -(raw & 1));
    return true;
}

static inline struct thrift_value *thrift_add(struct thrift_value *to)
{
    to->inner = realloc(to->inner, (to->count + 1) * sizeof *to->inner);
    if (to->inner == NULL)
        abort();
    to->inner[to->count] = (struct thrift_value){0};
    return &to->inner[to->count++];
}

static inline bool thrift_read_value(struct thrift_in *in, struct thrift_value *value, bool field);

static inline bool thrift_read_struct(struct thrift_in *in, struct thrift_value *value)
{
    int last = 0;
    for (;;) {
        if (in->at == in->end)
            return complain(in->complaint, "a struct has no end");
        uint8_t head = *in->at++;
        if (head == 0)
            return true;
        int64_t id = last + (head >> 4);
        if (head >> 4 == 0 && !thrift_zigzag(in, &id))
            return false;
        if (id <= last || (head >> 4 == 0 && id - last < 16))
            return complain(in->complaint, "field %d stands behind field %d", (int)id, last);
        struct thrift_value *added = thrift_add(value);
        added->id = last = (int)id;
        added->kind = head & 15;
        if (!thrift_read_value(in, added, true))
            return false;
    }
}

static inline bool thrift_read_list(struct thrift_in *in, struct thrift_value *value)
{
    if (in->at == in->end)
        return complain(in->complaint, "a list has no head");
    uint8_t head = *in->at++;
    uint64_t count = head >> 4;
    if (count == 15 && (!in_varint(&in->at, in->end, &count) || count < 15))
        return complain(in->complaint, "the count of a list is odd");
    for (uint64_t i = 0; i < count; i++) {
        struct thrift_value *added = thrift_add(value);
        added->kind = head & 15;
        if (!thrift_read_value(in, added, false))
            return false;
    }
    return true;
}

static inline bool thrift_read_bytes(struct thrift_in *in, struct thrift_value *value)
{
    uint64_t size;
    if (!in_varint(&in->at, in->end, &size) || size > (size_t)(in->end - in->at))
        return complain(in->complaint, "a string is cut short");
    value->bytes = in->at;
    value->size = size;
    in->at += size;
    return true;
}

static inline bool thrift_read_value(struct thrift_in *in, struct thrift_value *value, bool field)
{
    switch (value->kind) {
    case KIND_TRUE:
    case KIND_FALSE:
        value->number = value->kind == KIND_TRUE;
        return field || complain(in->complaint, "a list of bool");
    case KIND_I8:
        if (in->at == in->end)
            return complain(in->complaint, "a byte is missing");
        value->number = (int8_t)*in->at++;
        return true;
    case KIND_I16:
    case KIND_I32:
    case KIND_I64:
        return thrift_zigzag(in, &value->number);
    case KIND_BYTES:
        return thrift_read_bytes(in, value);
    case KIND_LIST:
        return thrift_read_list(in, value);
    case KIND_STRUCT:
        return thrift_read_struct(in, value);
    default:
        return complain(in->complaint, "type %d is not used by Parquet", (int)value->kind);
    }
}

/* The field of a struct; NULL: it has none. */
static inline const struct thrift_value *thrift_field(const struct thrift_value *value, int id)
{
    for (size_t i = 0; i < value->count; i++)
        if (value->inner[i].id == id)
            return &value->inner[i];
    return NULL;
}

static inline int64_t thrift_number(const struct thrift_value *value, int id, int64_t otherwise)
{
    const struct thrift_value *field = thrift_field(value, id);
    return field != NULL ? field->number : otherwise;
}

/* Whether the struct has exactly these fields, of these kinds: "1i 2i 3l"; i: i32, I: i64, l: list,
 * s: struct, b: bytes, t: bool, c: i8. A ? behind it: or not at all. */
static inline bool thrift_shape(const struct thrift_value *value, const char *shape,
                                const char *what, struct complaint *complaint)
{
    static const struct {
        char letter;
        enum thrift_kind kind;
    } kinds[] = {{'i', KIND_I32}, {'I', KIND_I64},    {'l', KIND_LIST}, {'b', KIND_BYTES},
                 {'c', KIND_I8},  {'s', KIND_STRUCT}, {'t', KIND_TRUE}};
    size_t seen = 0;
    for (const char *at = shape; *at != '\0'; at += strspn(at, " ")) {
        char *after;
        int id = (int)strtol(at, &after, 10);
        char letter = *after++;
        bool optional = *after == '?';
        at = after + optional;
        const struct thrift_value *field = thrift_field(value, id);
        if (field == NULL && !optional)
            return complain(complaint, "%s has no field %d", what, id);
        bool fits = field == NULL || (letter == 't' && field->kind == KIND_FALSE);
        for (size_t k = 0; field != NULL && k < sizeof kinds / sizeof *kinds; k++)
            fits |= kinds[k].letter == letter && kinds[k].kind == field->kind;
        if (!fits)
            return complain(complaint, "field %d of %s has kind %d", id, what, (int)field->kind);
        seen += field != NULL;
    }
    return seen == value->count ||
           complain(complaint, "%s has a field that it must not have", what);
}

static inline bool thrift_text_is(const struct thrift_value *value, const char *text)
{
    return value != NULL && value->kind == KIND_BYTES && value->size == strlen(text) &&
           memcmp(value->bytes, text, value->size) == 0;
}

/* ---- the schema ---- */

enum parquet_physical {
    P_BOOLEAN,
    P_INT32,
    P_INT64,
    P_INT96,
    P_FLOAT,
    P_DOUBLE,
    P_BYTE_ARRAY,
    P_FIXED
};

/* Field ids of LogicalType. */
enum parquet_logical {
    L_NONE = 0,
    L_STRING = 1,
    L_MAP = 2,
    L_LIST = 3,
    L_DECIMAL = 5,
    L_DATE = 6,
    L_TIME = 7,
    L_TIMESTAMP = 8,
    L_INTEGER = 10,
    L_JSON = 12,
    L_UUID = 14,
    L_FLOAT16 = 15
};

enum { PARQUET_PATH_MOST = 4 };

struct parquet_leaf {
    const struct thrift_value *path[PARQUET_PATH_MOST]; /* names from below the root on */
    int depth;
    enum parquet_physical physical;
    enum parquet_logical logical; /* of the value itself */
    int64_t type_length;          /* P_FIXED */
    int64_t precision, scale;     /* L_DECIMAL */
    int64_t bits;                 /* L_INTEGER */
    bool is_signed;               /* L_INTEGER */
    bool adjusted;                /* L_TIME, L_TIMESTAMP: to UTC */
    bool list;
    unsigned max_definition, max_repetition;
};

struct parquet_file {
    const uint8_t *bytes;
    size_t size;
    struct thrift_value footer;
    size_t footer_at;
    struct parquet_leaf *leaves;
    size_t leaf_count;
    int64_t rows;
    const struct thrift_value *groups; /* a list */
    struct complaint complaint;
};

static inline bool parquet_timed(const struct thrift_value *inner, struct parquet_leaf *leaf,
                                 int64_t converted, int64_t expected, struct complaint *complaint)
{
    const struct thrift_value *unit = thrift_field(inner, 2);
    leaf->adjusted = thrift_number(inner, 1, 0) != 0;
    return thrift_shape(inner, "1t 2s", "a type of time", complaint) &&
           thrift_shape(unit, "2s", "microseconds", complaint) &&
           thrift_shape(&unit->inner[0], "", "MICROS", complaint) &&
           ((leaf->physical == P_INT64 && converted == expected) ||
            complain(complaint, "a time with the wrong physical or converted type"));
}

static inline bool parquet_decimal(const struct thrift_value *element,
                                   const struct thrift_value *inner, struct parquet_leaf *leaf,
                                   int64_t converted, struct complaint *complaint)
{
    if (!thrift_shape(inner, "1i 2i", "DECIMAL", complaint))
        return false;
    leaf->scale = thrift_number(inner, 1, -1);
    leaf->precision = thrift_number(inner, 2, -1);
    bool fits = leaf->physical == P_FIXED && converted == 5 && leaf->precision > 0 &&
                leaf->scale >= 0 && leaf->scale <= leaf->precision &&
                thrift_number(element, 7, -1) == leaf->scale &&
                thrift_number(element, 8, -1) == leaf->precision && leaf->type_length > 0;
    /* floor(log10(2^(8 n - 1) - 1)) digits fit into n bytes; no more bytes than needed. */
    int needed = 1;
    static const int digits[] = {0, 2, 4, 6, 9, 11, 14, 16, 18, 21, 23, 26, 28, 31, 33, 35, 38};
    while (needed < 16 && digits[needed] < leaf->precision)
        needed++;
    return (fits && leaf->precision <= 38 && leaf->type_length == needed) ||
           complain(complaint, "a DECIMAL(%d,%d) of %d bytes", (int)leaf->precision,
                    (int)leaf->scale, (int)leaf->type_length);
}

static inline bool parquet_integer(const struct thrift_value *inner, struct parquet_leaf *leaf,
                                   int64_t converted, struct complaint *complaint)
{
    if (!thrift_shape(inner, "1c 2t", "INTEGER", complaint))
        return false;
    leaf->bits = thrift_number(inner, 1, 0);
    leaf->is_signed = thrift_number(inner, 2, 0) != 0;
    int64_t expected = (leaf->is_signed ? 15 : 11) + (leaf->bits == 8    ? 0
                                                      : leaf->bits == 16 ? 1
                                                      : leaf->bits == 32 ? 2
                                                                         : 3);
    enum parquet_physical physical = leaf->bits == 64 ? P_INT64 : P_INT32;
    return ((leaf->bits == 8 || leaf->bits == 16 || leaf->bits == 32 || leaf->bits == 64) &&
            converted == expected && leaf->physical == physical) ||
           complain(complaint, "an INTEGER of %d bits", (int)leaf->bits);
}

/* The logical type of a leaf, and the converted type that must go with it. */
static inline bool parquet_logical(const struct thrift_value *element, struct parquet_leaf *leaf,
                                   struct complaint *complaint)
{
    const struct thrift_value *logical = thrift_field(element, 10);
    int64_t converted = thrift_number(element, 6, -1);
    if (logical == NULL)
        return converted == -1 || complain(complaint, "a converted type without a logical one");
    if (logical->count != 1)
        return complain(complaint, "a logical type is %zu types", logical->count);
    const struct thrift_value *inner = &logical->inner[0];
    leaf->logical = (enum parquet_logical)inner->id;
    switch (inner->id) {
    case L_STRING:
    case L_JSON:
        return thrift_shape(inner, "", "a string", complaint) &&
               ((leaf->physical == P_BYTE_ARRAY && converted == (inner->id == L_JSON ? 19 : 0)) ||
                complain(complaint, "a string with the wrong physical or converted type"));
    case L_DECIMAL:
        return parquet_decimal(element, inner, leaf, converted, complaint);
    case L_DATE:
        return thrift_shape(inner, "", "DATE", complaint) &&
               ((leaf->physical == P_INT32 && converted == 6) || complain(complaint, "a DATE"));
    case L_TIME:
        return parquet_timed(inner, leaf, converted, 8, complaint);
    case L_TIMESTAMP:
        return parquet_timed(inner, leaf, converted, 10, complaint);
    case L_INTEGER:
        return parquet_integer(inner, leaf, converted, complaint);
    case L_UUID:
    case L_FLOAT16:
        return thrift_shape(inner, "", "UUID or FLOAT16", complaint) &&
               ((leaf->physical == P_FIXED && converted == -1 &&
                 leaf->type_length == (inner->id == L_UUID ? 16 : 2)) ||
                complain(complaint, "a UUID or FLOAT16 of %d bytes", (int)leaf->type_length));
    default:
        return complain(complaint, "logical type %d", inner->id);
    }
}

static inline bool parquet_value_element(const struct thrift_value *element,
                                         struct parquet_leaf *leaf, int64_t repetition,
                                         struct complaint *complaint)
{
    if (!thrift_shape(element, "1i 2i? 3i 4b 6i? 7i? 8i? 10s?", "a leaf of the schema", complaint))
        return false;
    if (thrift_number(element, 3, -1) != repetition)
        return complain(complaint, "a leaf with the wrong repetition");
    leaf->physical = (enum parquet_physical)thrift_number(element, 1, -1);
    leaf->type_length = thrift_number(element, 2, 0);
    if ((leaf->physical == P_FIXED) != (leaf->type_length > 0) || leaf->physical == P_INT96 ||
        (int)leaf->physical > P_FIXED)
        return complain(complaint, "a leaf of %d bytes", (int)leaf->type_length);
    leaf->path[leaf->depth++] = thrift_field(element, 4);
    return parquet_logical(element, leaf, complaint) &&
           (leaf->logical == L_DECIMAL ||
            (thrift_field(element, 7) == NULL && thrift_field(element, 8) == NULL) ||
            complain(complaint, "a precision of no DECIMAL"));
}

/* The list whose elements begin at `at`. */
static inline bool parquet_list(const struct thrift_value *schema, size_t at,
                                struct parquet_leaf *leaf, int64_t repetition,
                                struct complaint *complaint)
{
    if (at + 3 > schema->count)
        return complain(complaint, "the schema ends within a list");
    const struct thrift_value *element = &schema->inner[at], *repeated = element + 1;
    const struct thrift_value *logical = thrift_field(element, 10);
    leaf->list = true;
    leaf->max_definition = 2;
    leaf->max_repetition = 1;
    leaf->path[leaf->depth++] = thrift_field(element, 4);
    leaf->path[leaf->depth++] = thrift_field(repeated, 4);
    bool fits = thrift_shape(element, "3i 4b 5i 6i 10s", "a list", complaint) &&
                thrift_shape(repeated, "3i 4b 5i", "the repeated group of a list", complaint) &&
                thrift_shape(logical, "3s", "the logical type of a list", complaint) &&
                thrift_shape(&logical->inner[0], "", "LIST", complaint);
    if (!fits)
        return false;
    if (thrift_number(element, 3, -1) != repetition || thrift_number(element, 5, -1) != 1 ||
        thrift_number(element, 6, -1) != 3 || thrift_number(repeated, 3, -1) != 2 ||
        thrift_number(repeated, 5, -1) != 1 || !thrift_text_is(thrift_field(repeated, 4), "list") ||
        !thrift_text_is(thrift_field(element + 2, 4), "element"))
        return complain(complaint, "a list that is not one of three levels");
    return parquet_value_element(element + 2, leaf, 0, complaint);
}

/* The three leaves of a sparse vector, whose elements begin at `at`. */
static inline bool parquet_sparse(const struct thrift_value *schema, size_t at,
                                  struct parquet_leaf *leaves, struct complaint *complaint)
{
    const struct thrift_value *element = &schema->inner[at];
    if (at + 8 > schema->count)
        return complain(complaint, "the schema ends within a sparse vector");
    if (!thrift_shape(element, "3i 4b 5i", "the group of a sparse vector", complaint))
        return false;
    for (int i = 0; i < 3; i++)
        leaves[i].path[leaves[i].depth++] = thrift_field(element, 4);
    leaves[0].max_definition = 1;
    bool fits = parquet_value_element(element + 1, &leaves[0], 0, complaint) &&
                parquet_list(schema, at + 2, &leaves[1], 0, complaint) &&
                parquet_list(schema, at + 5, &leaves[2], 0, complaint);
    return fits && ((thrift_number(element, 3, -1) == 1 && thrift_number(element, 5, -1) == 3 &&
                     thrift_text_is(leaves[0].path[1], "dim") &&
                     thrift_text_is(leaves[1].path[1], "indices") &&
                     thrift_text_is(leaves[2].path[1], "values") && leaves[0].physical == P_INT32 &&
                     leaves[0].logical == L_NONE && leaves[1].physical == P_INT32 &&
                     leaves[1].logical == L_NONE && leaves[2].physical == P_FLOAT &&
                     leaves[2].logical == L_NONE) ||
                    complain(complaint, "a group that is no sparse vector"));
}

/* The column whose elements begin at *at; moves it behind them. The number of its leaves; 0:
 * complaint. */
static inline size_t parquet_column(const struct thrift_value *schema, size_t *at,
                                    struct parquet_leaf *leaves, struct complaint *complaint)
{
    const struct thrift_value *element = &schema->inner[*at];
    size_t start = *at;
    if (thrift_field(element, 5) == NULL) {
        leaves->max_definition = 1;
        *at += 1;
        return parquet_value_element(element, leaves, 1, complaint);
    }
    if (thrift_field(element, 10) != NULL) {
        *at += 3;
        return parquet_list(schema, start, leaves, 1, complaint);
    }
    *at += 8;
    return parquet_sparse(schema, start, leaves, complaint) ? 3 : 0;
}

static inline bool parquet_schema(struct parquet_file *file)
{
    const struct thrift_value *schema = thrift_field(&file->footer, 2);
    struct complaint *complaint = &file->complaint;
    if (schema->count < 1 || !thrift_shape(&schema->inner[0], "4b 5i", "the root", complaint))
        return complain(complaint, "there is no root");
    file->leaves = calloc(schema->count + 3, sizeof *file->leaves);
    if (file->leaves == NULL)
        abort();
    size_t columns = 0;
    for (size_t at = 1; at < schema->count; columns++) {
        size_t leaves = parquet_column(schema, &at, &file->leaves[file->leaf_count], complaint);
        if (leaves == 0)
            return false;
        file->leaf_count += leaves;
    }
    return (size_t)thrift_number(&schema->inner[0], 5, -1) == columns ||
           complain(complaint, "the root has another number of columns");
}

/* ---- pages ---- */

struct parquet_value {
    bool null, first; /* it is NULL, or an empty list (`empty`); it begins a row */
    bool empty;
    const uint8_t *bytes; /* as stored; a bool is one byte */
    size_t size;
};

/* Is told of each value in the order of the file. */
typedef void parquet_sink(void *context, size_t column, const struct parquet_value *value);

struct parquet_levels {
    const uint8_t *at, *end;
    unsigned width, most;
    uint64_t left; /* of the run */
    bool packed;
    uint8_t level; /* of a run of equal ones */
    unsigned bit;  /* of a packed run */
    bool bad;
};

static inline unsigned parquet_level(struct parquet_levels *levels)
{
    while (levels->left == 0 && !levels->bad) {
        uint64_t head;
        levels->bad = !in_varint(&levels->at, levels->end, &head) || head >> 1 == 0;
        levels->packed = (head & 1) != 0;
        levels->left = levels->packed ? (head >> 1) * 8 : head >> 1;
        levels->bit = 0;
        uint64_t bytes = levels->packed ? (head >> 1) * levels->width : 1;
        if (levels->bad || levels->left > INT32_MAX ||
            bytes > (uint64_t)(levels->end - levels->at)) {
            levels->bad = true;
        } else if (!levels->packed) {
            levels->level = *levels->at++;
        }
    }
    if (levels->bad)
        return 0;
    unsigned level = levels->level;
    levels->left--;
    if (levels->packed) {
        level = *levels->at >> levels->bit & ((1U << levels->width) - 1);
        levels->bit += levels->width;
        if (levels->bit == 8) {
            levels->bit = 0;
            levels->at++;
        }
    }
    levels->bad |= level > levels->most;
    return level;
}

/* All has been read, but for up to 7 zeros that fill the last packed run. */
static inline bool parquet_levels_end(struct parquet_levels *levels)
{
    bool few = levels->left == 0 || (levels->packed && levels->left < 8);
    while (levels->left > 0 && few && !levels->bad)
        few = parquet_level(levels) == 0;
    return few && !levels->bad && levels->at == levels->end;
}

static inline bool parquet_levels_open(const uint8_t **at, const uint8_t *end, unsigned most,
                                       struct parquet_levels *out)
{
    *out = (struct parquet_levels){.most = most, .width = most > 1 ? 2 : 1};
    if (most == 0)
        return true;
    uint32_t size;
    if (end - *at < 4)
        return false;
    memcpy(&size, *at, 4);
    size = le32toh(size);
    *at += 4;
    if (size > (size_t)(end - *at))
        return false;
    out->at = *at;
    *at = out->end = *at + size;
    return true;
}

static inline bool parquet_is_utf8(const uint8_t *at, size_t size)
{
    const uint8_t *end = at + size;
    while (at < end) {
        int more = *at < 0x80       ? 0
                   : *at >> 5 == 6  ? 1
                   : *at >> 4 == 14 ? 2
                   : *at >> 3 == 30 ? 3
                                    : -1;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (more < 0 || end - at <= more)
            return false;
        uint32_t code = more == 0 ? *at : *at & (0x3F >> more);
        for (int i = 1; i <= more; i++) {
            if (at[i] >> 6 != 2)
                return false;
            code = code << 6 | (at[i] & 0x3F);
        }
        if (code < least[more] || code > 0x10FFFF || code >> 11 == 27)
            return false;
        at += more + 1;
    }
    return true;
}

/* Whether the big-endian number has no more digits than its precision. */
static inline bool parquet_in_precision(const struct parquet_leaf *leaf, const uint8_t *bytes)
{
    unsigned __int128 value = (bytes[0] & 0x80) != 0 ? ~(unsigned __int128)0 : 0, most = 1;
    for (int64_t i = 0; i < leaf->type_length; i++)
        value = value << 8 | bytes[i];
    if ((bytes[0] & 0x80) != 0)
        value = -value;
    for (int64_t i = 0; i < leaf->precision; i++)
        most *= 10;
    return value < most;
}

static inline bool parquet_value_fits(const struct parquet_leaf *leaf, const uint8_t *bytes,
                                      size_t size)
{
    uint32_t word = 0;
    memcpy(&word, bytes, size < 4 ? size : 4);
    int32_t number = (int32_t)le32toh(word);
    switch (leaf->logical) {
    case L_STRING:
    case L_JSON:
        return parquet_is_utf8(bytes, size);
    case L_DECIMAL:
        return parquet_in_precision(leaf, bytes);
    case L_INTEGER:
        return leaf->bits != 16 || (number >= INT16_MIN && number <= INT16_MAX);
    default:
        return true;
    }
}

/* The next value's bytes; bools are unpacked to *boolean. */
static inline bool parquet_next(const struct parquet_leaf *leaf, const uint8_t **at,
                                const uint8_t *end, size_t number, uint8_t *boolean,
                                struct parquet_value *out)
{
    static const size_t sizes[] = {0, 4, 8, 12, 4, 8, 0, 0};
    size_t left = (size_t)(end - *at), size = sizes[leaf->physical];
    if (leaf->physical == P_BOOLEAN) {
        if (left < 1)
            return false;
        *boolean = **at >> number % 8 & 1;
        *at += number % 8 == 7;
        out->bytes = boolean;
        out->size = 1;
        return true;
    }
    if (leaf->physical == P_FIXED)
        size = (size_t)leaf->type_length;
    if (leaf->physical == P_BYTE_ARRAY) {
        uint32_t length;
        if (left < 4)
            return false;
        memcpy(&length, *at, 4);
        size = le32toh(length);
        *at += 4;
        left -= 4;
    }
    if (size > left)
        return false;
    out->bytes = *at;
    out->size = size;
    *at += size;
    return parquet_value_fits(leaf, out->bytes, size);
}

struct parquet_counts {
    int64_t rows, values, nulls, raw, stored;
};

static inline bool parquet_contents(struct parquet_file *file, size_t column, const uint8_t *bytes,
                                    size_t size, int64_t values, struct parquet_counts *counts,
                                    parquet_sink *sink, void *context)
{
    const struct parquet_leaf *leaf = &file->leaves[column];
    const uint8_t *at = bytes, *end = bytes + size;
    struct parquet_levels repetition, definition;
    size_t given = 0;
    if (!parquet_levels_open(&at, end, leaf->max_repetition, &repetition) ||
        !parquet_levels_open(&at, end, leaf->max_definition, &definition))
        return complain(&file->complaint, "levels are cut short");
    for (int64_t i = 0; i < values; i++) {
        uint8_t boolean;
        unsigned r = leaf->max_repetition > 0 ? parquet_level(&repetition) : 0;
        unsigned d = parquet_level(&definition);
        struct parquet_value value = {.first = r == 0};
        if (repetition.bad || definition.bad || (i == 0 && r != 0) ||
            (r != 0 && d < leaf->max_definition))
            return complain(&file->complaint, "column %zu: odd levels at value %lld", column,
                            (long long)i);
        value.null = d < leaf->max_definition;
        value.empty = leaf->list && d == 1;
        if (!value.null && !parquet_next(leaf, &at, end, given++, &boolean, &value))
            return complain(&file->complaint, "column %zu: value %lld does not fit", column,
                            (long long)i);
        counts->rows += value.first;
        counts->nulls += value.null;
        if (sink != NULL)
            sink(context, column, &value);
    }
    if (leaf->physical == P_BOOLEAN && given % 8 != 0) {
        if (*at >> given % 8 != 0)
            return complain(&file->complaint, "bits behind the last bool");
        at++;
    }
    if (leaf->max_repetition > 0 && !parquet_levels_end(&repetition))
        return complain(&file->complaint, "column %zu: more repetition levels", column);
    if (!parquet_levels_end(&definition))
        return complain(&file->complaint, "column %zu: more definition levels", column);
    counts->values += values;
    return at == end || complain(&file->complaint, "column %zu: bytes behind the values", column);
}

static inline uint32_t parquet_crc(const uint8_t *bytes, size_t size)
{
    static uint32_t table[256];
    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        uint32_t sum = i;
        for (int bit = 0; bit < 8; bit++)
            sum = (sum & 1) != 0 ? sum >> 1 ^ 0xEDB88320 : sum >> 1;
        table[i] = sum;
    }
    uint32_t sum = ~0U;
    for (size_t i = 0; i < size; i++)
        sum = sum >> 8 ^ table[(sum ^ bytes[i]) & 0xFF];
    return ~sum;
}

/* What a page has stored, unpacked: at *raw, which is from malloc or the file itself. */
static inline bool parquet_unpack(struct parquet_file *file, int64_t codec, const uint8_t *stored,
                                  size_t size, size_t raw_size, uint8_t **memory,
                                  const uint8_t **raw)
{
    *memory = NULL;
    *raw = stored;
    if (codec == 0)
        return size == raw_size || complain(&file->complaint, "two sizes of what is uncompressed");
    *raw = *memory = malloc(raw_size + 1);
    if (*memory == NULL)
        abort();
    return ZSTD_decompress(*memory, raw_size, stored, size) == raw_size ||
           complain(&file->complaint, "a page is not a zstd frame of its raw size");
}

/* The page at *at; moves it behind the page. */
static inline bool parquet_page(struct parquet_file *file, size_t column, int64_t codec,
                                const uint8_t **at, const uint8_t *end,
                                struct parquet_counts *counts, parquet_sink *sink, void *context)
{
    struct thrift_value page = {0};
    struct thrift_in in = {*at, end, &file->complaint};
    const struct thrift_value *header = NULL;
    uint8_t *memory = NULL;
    const uint8_t *raw;
    bool good = thrift_read_struct(&in, &page) &&
                thrift_shape(&page, "1i 2i 3i 4i 5s", "a page", &file->complaint) &&
                (header = thrift_field(&page, 5)) != NULL &&
                thrift_shape(header, "1i 2i 3i 4i", "a data page", &file->complaint);
    if (good) {
        int64_t raw_size = thrift_number(&page, 2, -1), stored = thrift_number(&page, 3, -1);
        int64_t values = thrift_number(header, 1, -1);
        if (thrift_number(&page, 1, -1) != 0 || thrift_number(header, 2, -1) != 0 ||
            thrift_number(header, 3, -1) != 3 || thrift_number(header, 4, -1) != 3 ||
            raw_size < 0 || raw_size > INT32_MAX || stored < 0 || stored > end - in.at ||
            values <= 0)
            good = complain(&file->complaint, "a page of another kind, or too large");
        else if ((uint32_t)thrift_number(&page, 4, 0) != parquet_crc(in.at, (size_t)stored))
            good = complain(&file->complaint, "a page's checksum does not hold");
        else
            good = parquet_unpack(file, codec, in.at, (size_t)stored, (size_t)raw_size, &memory,
                                  &raw) &&
                   parquet_contents(file, column, raw, (size_t)raw_size, values, counts, sink,
                                    context);
        counts->raw += in.at - *at + raw_size;
        counts->stored += in.at - *at + stored;
        *at = in.at + (good ? stored : 0);
    }
    free(memory);
    thrift_value_clear(&page);
    return good;
}

/* ---- groups ---- */

static inline bool parquet_path_is(const struct thrift_value *path, const struct parquet_leaf *leaf)
{
    if ((int)path->count != leaf->depth)
        return false;
    for (int i = 0; i < leaf->depth; i++)
        if (path->inner[i].size != leaf->path[i]->size ||
            memcmp(path->inner[i].bytes, leaf->path[i]->bytes, leaf->path[i]->size) != 0)
            return false;
    return true;
}

static inline bool parquet_chunk(struct parquet_file *file, size_t column,
                                 const struct thrift_value *chunk, const uint8_t **at, int64_t rows,
                                 int64_t *raw, parquet_sink *sink, void *context)
{
    struct complaint *complaint = &file->complaint;
    const struct thrift_value *meta = thrift_field(chunk, 3);
    if (!thrift_shape(chunk, "2I 3s", "a column chunk", complaint) ||
        !thrift_shape(meta, "1i 2l 3l 4i 5I 6I 7I 9I 12s", "the metadata of a chunk", complaint) ||
        !thrift_shape(thrift_field(meta, 12), "3I", "the statistics of a chunk", complaint))
        return false;
    const struct parquet_leaf *leaf = &file->leaves[column];
    const struct thrift_value *encodings = thrift_field(meta, 2);
    int64_t codec = thrift_number(meta, 4, -1), stored = thrift_number(meta, 7, -1);
    const uint8_t *limit = file->bytes + file->footer_at;
    if (thrift_number(chunk, 2, -1) != 0 || thrift_number(meta, 1, -1) != (int)leaf->physical ||
        !parquet_path_is(thrift_field(meta, 3), leaf) || (codec != 0 && codec != 6) ||
        encodings->count != 2 || encodings->inner[0].number != 0 || encodings->inner[1].number != 3)
        return complain(complaint, "the metadata of column %zu is odd", column);
    if (thrift_number(meta, 9, -1) != *at - file->bytes)
        return complain(complaint, "column %zu begins at %lld, not at %lld", column,
                        (long long)thrift_number(meta, 9, -1), (long long)(*at - file->bytes));
    if (stored < 0 || stored > limit - *at)
        return complain(complaint, "column %zu ends behind the file", column);
    struct parquet_counts counts = {0};
    for (const uint8_t *end = *at + stored; *at < end;)
        if (!parquet_page(file, column, codec, at, end, &counts, sink, context))
            return false;
    *raw += counts.raw;
    return (counts.rows == rows && counts.values == thrift_number(meta, 5, -1) &&
            counts.nulls == thrift_number(thrift_field(meta, 12), 3, -1) &&
            counts.stored == stored && counts.raw == thrift_number(meta, 6, -1)) ||
           complain(complaint, "column %zu has other values or sizes than it says", column);
}

static inline bool parquet_begins_column(const struct parquet_file *file, size_t leaf)
{
    return leaf == 0 || file->leaves[leaf].path[0] != file->leaves[leaf - 1].path[0];
}

/* Whether the columns of the group begin at pages of 4096 bytes, each but the first, and the group
 * ends 4 bytes behind one, counted from 4 bytes before the group: if that takes no more zeros than a
 * 32nd of its bytes. */
static inline bool parquet_has_zeros(const struct parquet_file *file,
                                     const struct thrift_value *chunks)
{
    uint64_t at = 4, sum = 0;
    for (size_t i = 0; i < chunks->count; i++) {
        const struct thrift_value *meta = thrift_field(&chunks->inner[i], 3);
        uint64_t stored = meta != NULL ? (uint64_t)thrift_number(meta, 7, 0) : 0;
        if (i > 0 && parquet_begins_column(file, i))
            at = (at + 4095) / 4096 * 4096;
        at += stored;
        sum += stored;
    }
    return ((at + 4095) / 4096 * 4096 - sum) * 32 <= sum;
}

/* Moves *at behind zeros, to where a page of the group begins, and `more` bytes. */
static inline bool parquet_pass_zeros(struct parquet_file *file, const uint8_t *begin, size_t more,
                                      const uint8_t **at)
{
    const uint8_t *limit = file->bytes + file->footer_at;
    size_t left = (4096 - (size_t)(*at - begin + 4) % 4096) % 4096 + more;
    for (; left > 0; left--, (*at)++)
        if (*at == limit || **at != 0)
            return complain(&file->complaint, "something else than zeros behind a column");
    return true;
}

static inline bool parquet_group(struct parquet_file *file, const struct thrift_value *group,
                                 const uint8_t **at, parquet_sink *sink, void *context)
{
    if (!thrift_shape(group, "1l 2I 3I", "a row group", &file->complaint))
        return false;
    const struct thrift_value *chunks = thrift_field(group, 1);
    int64_t rows = thrift_number(group, 3, -1), raw = 0;
    if (chunks->count != file->leaf_count || rows <= 0)
        return complain(&file->complaint, "a row group of %zu columns, %lld rows", chunks->count,
                        (long long)rows);
    const uint8_t *begin = *at;
    bool zeros = parquet_has_zeros(file, chunks);
    for (size_t i = 0; i < chunks->count; i++) {
        if (zeros && i > 0 && parquet_begins_column(file, i) &&
            !parquet_pass_zeros(file, begin, 0, at))
            return false;
        if (!parquet_chunk(file, i, &chunks->inner[i], at, rows, &raw, sink, context))
            return false;
    }
    if (zeros && !parquet_pass_zeros(file, begin, 4, at))
        return false;
    return raw == thrift_number(group, 2, -1) ||
           complain(&file->complaint, "a row group has another size than it says");
}

static inline void parquet_close(struct parquet_file *file)
{
    thrift_value_clear(&file->footer);
    free(file->leaves);
    file->leaves = NULL;
}

/* Reads footer and schema. false: complaint. In any case parquet_close. Borrows the bytes. */
static inline bool parquet_open(const uint8_t *bytes, size_t size, struct parquet_file *file)
{
    *file = (struct parquet_file){.bytes = bytes, .size = size};
    struct complaint *complaint = &file->complaint;
    if (size < 12 || memcmp(bytes, "PAR1", 4) != 0 || memcmp(bytes + size - 4, "PAR1", 4) != 0)
        return complain(complaint, "the magic is missing");
    uint32_t footer;
    memcpy(&footer, bytes + size - 8, 4);
    footer = le32toh(footer);
    if (footer > size - 12)
        return complain(complaint, "the footer is too large");
    file->footer_at = size - 8 - footer;
    struct thrift_in in = {bytes + file->footer_at, bytes + size - 8, complaint};
    if (!thrift_read_struct(&in, &file->footer) ||
        !thrift_shape(&file->footer, "1i 2l 3I 4l 5l? 6b", "the footer", complaint))
        return false;
    if (in.at != in.end || thrift_number(&file->footer, 1, -1) != 1)
        return complain(complaint, "bytes behind the footer, or another version");
    const struct thrift_value *by = thrift_field(&file->footer, 6);
    if (by->size < 16 || memcmp(by->bytes, "pgvecfs version ", 16) != 0)
        return complain(complaint, "created by whom?");
    file->rows = thrift_number(&file->footer, 3, -1);
    file->groups = thrift_field(&file->footer, 4);
    return parquet_schema(file);
}

/* Reads all groups, and hands their values to the sink, which may be NULL. */
static inline bool parquet_read(struct parquet_file *file, parquet_sink *sink, void *context)
{
    const uint8_t *at = file->bytes + 4;
    int64_t rows = 0;
    for (size_t i = 0; i < file->groups->count; i++) {
        if (!parquet_group(file, &file->groups->inner[i], &at, sink, context))
            return false;
        rows += thrift_number(&file->groups->inner[i], 3, 0);
    }
    if (at != file->bytes + file->footer_at)
        return complain(&file->complaint, "bytes between the last page and the footer");
    return rows == file->rows ||
           complain(&file->complaint, "the footer has another number of rows");
}

#endif
