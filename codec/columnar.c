#include "codec/columnar.h"

#include "codec/bytes.h"
#include "codec/utf8.h"
#include "codec/vector_limits.h"

#include <errno.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 uint128;

enum { DECIMAL_DIGITS_MOST = 38 };

/* How a part holds the values of a form. */
enum wire {
    WIRE_BOOL,
    WIRE_NUMBER, /* big-endian, as wide as the form */
    WIRE_DATE,
    WIRE_TIMESTAMP,
    WIRE_BYTES,     /* as they are */
    WIRE_JSONB,     /* a version, and text */
    WIRE_BITS,      /* int32 count, bits */
    WIRE_BITS_TEXT, /* the same, to be text */
    WIRE_VECTOR,    /* int16 count, int16 0, float4 */
    WIRE_HALFVEC,   /* the same, of float2 */
    WIRE_SPARSEVEC,
    WIRE_TEXT,    /* the type's text, that of a file */
    WIRE_TIME,    /* text */
    WIRE_NUMERIC, /* text */
};

/* ---- forms ---- */

struct known {
    const char *extension, *name; /* of struct type */
    struct columnar_form form;
};

static const struct known types[] = {
    {NULL, "bool", {COLUMNAR_BOOL, .wire = WIRE_BOOL, .width = 1}},
    {NULL, "int2", {COLUMNAR_INT16, .wire = WIRE_NUMBER, .width = 2}},
    {NULL, "int4", {COLUMNAR_INT32, .wire = WIRE_NUMBER, .width = 4}},
    {NULL, "int8", {COLUMNAR_INT64, .wire = WIRE_NUMBER, .width = 8}},
    {NULL, "oid", {COLUMNAR_UINT32, .wire = WIRE_NUMBER, .width = 4}},
    {NULL, "float4", {COLUMNAR_FLOAT, .wire = WIRE_NUMBER, .width = 4}},
    {NULL, "float8", {COLUMNAR_DOUBLE, .wire = WIRE_NUMBER, .width = 8}},
    {NULL, "date", {COLUMNAR_DATE, .wire = WIRE_DATE, .width = 4}},
    {NULL, "timestamp", {COLUMNAR_TIMESTAMP, .wire = WIRE_TIMESTAMP, .width = 8}},
    {NULL, "timestamptz", {COLUMNAR_TIMESTAMPTZ, .wire = WIRE_TIMESTAMP, .width = 8}},
    {NULL, "text", {COLUMNAR_TEXT, .wire = WIRE_TEXT}},
    {NULL, "varchar", {COLUMNAR_TEXT, .wire = WIRE_TEXT}},
    {NULL, "bpchar", {COLUMNAR_TEXT, .wire = WIRE_TEXT}},
    {NULL, "name", {COLUMNAR_TEXT, .wire = WIRE_TEXT}},
    {NULL, "json", {COLUMNAR_JSON, .wire = WIRE_TEXT}},
    {NULL, "jsonb", {COLUMNAR_JSON, .wire = WIRE_JSONB}},
    {NULL, "bytea", {COLUMNAR_BINARY, .wire = WIRE_BYTES}},
    {NULL, "uuid", {COLUMNAR_FIXED, .wire = WIRE_BYTES, .width = 16}},
    {NULL, "bit", {COLUMNAR_TEXT, .wire = WIRE_BITS_TEXT}},
    {NULL, "varbit", {COLUMNAR_TEXT, .wire = WIRE_BITS_TEXT}},
    {"vector", "vector", {COLUMNAR_FLOATS, .wire = WIRE_VECTOR}},
    {"vector", "halfvec", {COLUMNAR_HALVES, .wire = WIRE_HALFVEC}},
    {"vector", "sparsevec", {COLUMNAR_SPARSE, .wire = WIRE_SPARSEVEC}},
};

static const struct known *find_known(const struct type *type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, type->name) == 0 &&
            (types[i].extension == NULL) == (type->extension == NULL))
            return &types[i];
    return NULL;
}

/* The number behind the last `(` of `bit(8)` or `public.vector(3)`; 0: there is none. A quoted name
 * does not end in a bracket. */
static uint32_t length_in(const char *type_name)
{
    size_t n = strlen(type_name);
    const char *open = strrchr(type_name, '(');
    if (open == NULL || type_name[n - 1] != ')')
        return 0;
    char *end;
    unsigned long length = strtoul(open + 1, &end, 10);
    return *end == ')' && end[1] == '\0' && length <= INT32_MAX ? (uint32_t)length : 0;
}

static struct columnar_form form_of_type(const struct known *known, const char *type_name)
{
    struct columnar_form form = known->form;
    bool bits = strcmp(known->name, "bit") == 0;
    bool vectors = form.kind == COLUMNAR_FLOATS || form.kind == COLUMNAR_HALVES;
    uint32_t length = bits || vectors ? length_in(type_name) : 0;
    if (bits && length > 0)
        form = (struct columnar_form){
            .kind = COLUMNAR_FIXED, .wire = WIRE_BITS, .width = (length + 7) / 8, .count = length};
    if (vectors && length <= VECTOR_DIMS_MOST) {
        form.count = length;
        form.width = length * (form.kind == COLUMNAR_FLOATS ? 4 : 2);
    }
    return form;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* "numeric(10,2)" of pg_catalog, whose types have no schema in their names. */
static bool is_decimal(const char *type_name, struct columnar_form *form)
{
    char *end;
    if (!begins_with(type_name, "numeric("))
        return false;
    unsigned long precision = strtoul(type_name + strlen("numeric("), &end, 10), scale = 0;
    if (*end == ',')
        scale = end[1] == '-' ? precision + 1 : strtoul(end + 1, &end, 10);
    if (strcmp(end, ")") != 0 || precision < 1 || precision > DECIMAL_DIGITS_MOST ||
        scale > precision)
        return false;
    *form = (struct columnar_form){.kind = COLUMNAR_DECIMAL,
                                   .part = PART_TEXT,
                                   .wire = WIRE_NUMERIC,
                                   .width = 16,
                                   .precision = (uint8_t)precision,
                                   .scale = (uint8_t)scale};
    return true;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

/* "time(3) without time zone". */
static bool is_time(const char *type_name)
{
    return (begins_with(type_name, "time ") || begins_with(type_name, "time(")) &&
           ends_with(type_name, " without time zone");
}

struct columnar_form columnar_form(const struct column *column)
{
    struct columnar_form form = {.kind = COLUMNAR_TEXT, .part = PART_TEXT, .wire = WIRE_TEXT};
    const struct known *known = column->type != NULL ? find_known(column->type) : NULL;
    if (known != NULL)
        form = form_of_type(known, column->type_name);
    else if (is_time(column->type_name))
        form = (struct columnar_form){
            .kind = COLUMNAR_TIME, .part = PART_TEXT, .wire = WIRE_TIME, .width = 8};
    else
        (void)is_decimal(column->type_name, &form);
    return form;
}

bool columnar_possible(const struct schema *schema)
{
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (column->in_copy && column->part[columnar_form(column).part] == PART_NONE)
            return false;
    }
    return true;
}

/* ---- single values ---- */

#define MICROSECONDS INT64_C(1000000)
#define DAYS_TO_2000 10957

/* -EDOM, and what the value is. */
static int no_form(const char **why, const char *what)
{
    *why = what;
    return -EDOM;
}

static void reverse(uint8_t *out, const uint8_t *wire, uint32_t width)
{
    if (width == 4)
        store_le32(out, load_be32(wire));
    else if (width == 8)
        store_le64(out, load_be64(wire));
    else
        store_le16(out, load_be16(wire));
}

static int read_date(const uint8_t *wire, size_t size, uint8_t *out, const char **why)
{
    if (size != 4)
        return -EBADMSG;
    int32_t days = (int32_t)load_be32(wire);
    if (days == INT32_MAX || days == INT32_MIN)
        return no_form(why, "infinity");
    if (days > INT32_MAX - DAYS_TO_2000)
        return -EBADMSG;
    store_le32(out, (uint32_t)(days + DAYS_TO_2000));
    return 0;
}

static int read_timestamp(const uint8_t *wire, size_t size, uint8_t *out, const char **why)
{
    if (size != 8)
        return -EBADMSG;
    int64_t time = (int64_t)load_be64(wire);
    if (time == INT64_MAX || time == INT64_MIN)
        return no_form(why, "infinity");
    if (__builtin_add_overflow(time, DAYS_TO_2000 * INT64_C(86400) * MICROSECONDS, &time))
        return no_form(why, "a time of so late a year");
    store_le64(out, (uint64_t)time);
    return 0;
}

/* Two digits; -1: there are none. */
static int two_digits(const uint8_t *at)
{
    unsigned tens = at[0] - (unsigned)'0', ones = at[1] - (unsigned)'0';
    return tens > 9 || ones > 9 ? -1 : (int)(10 * tens + ones);
}

/* 13:02:59.123456, without the zeros at its end. */
static int read_time(const uint8_t *text, size_t size, uint8_t *out, const char **why)
{
    if (size < 8 || text[2] != ':' || text[5] != ':')
        return -EBADMSG;
    int hours = two_digits(text), minutes = two_digits(text + 3), seconds = two_digits(text + 6);
    int64_t fraction = 0;
    if (hours < 0 || minutes < 0 || seconds < 0 || minutes > 59 || seconds > 59 || size == 9 ||
        size > 15 || (size > 8 && text[8] != '.'))
        return -EBADMSG;
    for (size_t i = 9; i < 15; i++) {
        unsigned digit = i < size ? text[i] - (unsigned)'0' : 0;
        if (digit > 9)
            return -EBADMSG;
        fraction = 10 * fraction + digit;
    }
    if (hours >= 24)
        return no_form(why, "24:00:00");
    store_le64(out, (uint64_t)((hours * 3600 + minutes * 60 + seconds) * MICROSECONDS + fraction));
    return 0;
}

static bool is_word(const uint8_t *text, size_t size, const char *word)
{
    return size == strlen(word) && memcmp(text, word, size) == 0;
}

/* Reads the digits of a number with `scale` of them behind the point. */
static int read_digits(const uint8_t *at, const uint8_t *end, const struct columnar_form *form,
                       uint128 *out)
{
    uint128 value = 0;
    int digits = 0, behind = -1;
    for (; at < end; at++) {
        unsigned digit = *at - (unsigned)'0';
        if (*at == '.' && behind < 0) {
            behind = 0;
            continue;
        }
        if (digit > 9)
            return -EBADMSG;
        behind += behind >= 0;
        digits += value > 0 || digit > 0;
        if (digits > DECIMAL_DIGITS_MOST)
            return -EDOM;
        value = 10 * value + digit;
    }
    for (behind = behind < 0 ? 0 : behind; behind < form->scale; behind++) {
        digits += value > 0;
        if (digits > DECIMAL_DIGITS_MOST)
            return -EDOM;
        value *= 10;
    }
    if (behind > form->scale || digits > form->precision)
        return -EDOM;
    *out = value;
    return 0;
}

static int read_numeric(const struct columnar_form *form, const uint8_t *text, size_t size,
                        uint8_t *out, const char **why)
{
    if (is_word(text, size, "NaN"))
        return no_form(why, "NaN");
    if (is_word(text, size, "Infinity") || is_word(text, size, "-Infinity"))
        return no_form(why, "infinity");
    bool negative = size > 0 && text[0] == '-';
    uint128 value;
    if (size == negative)
        return -EBADMSG;
    int rc = read_digits(text + negative, text + size, form, &value);
    if (rc < 0)
        return rc == -EDOM ? no_form(why, "a number of more digits than its type has") : rc;
    if (negative)
        value = -value;
    store_le64(out, (uint64_t)value);
    store_le64(out + 8, (uint64_t)(value >> 64));
    return 0;
}

/* Whether the bytes are bits: their number, and as many bytes as those take. */
static bool is_bits(const uint8_t *wire, size_t size)
{
    return size >= 4 && load_be32(wire) <= INT32_MAX &&
           size - 4 == ((uint64_t)load_be32(wire) + 7) / 8;
}

static int read_bits(const struct columnar_form *form, const uint8_t *wire, size_t size,
                     uint8_t *out, const char **why)
{
    if (!is_bits(wire, size))
        return -EBADMSG;
    if (load_be32(wire) != form->count)
        return no_form(why, "a bit string of another length than its type has");
    if (out != NULL)
        memcpy(out, wire + 4, form->width);
    return 0;
}

static void write_bits_text(const uint8_t *wire, uint8_t *out)
{
    uint32_t count = load_be32(wire);
    for (uint32_t i = 0; i < count; i++)
        out[i] = (uint8_t)('0' + (wire[4 + i / 8] >> (7 - i % 8) & 1));
}

static uint32_t element_of(const struct columnar_form *form)
{
    return form->wire == WIRE_VECTOR ? 4 : 2;
}

static int check_vector(const struct columnar_form *form, const uint8_t *wire, size_t size,
                        const char **why)
{
    if (size < 4)
        return -EBADMSG;
    uint32_t count = load_be16(wire);
    if (count < 1 || count > VECTOR_DIMS_MOST || load_be16(wire + 2) != 0 ||
        size != 4 + (size_t)count * element_of(form))
        return -EBADMSG;
    return form->count != 0 && count != form->count
               ? no_form(why, "a vector of another dimension than its type has")
               : 0;
}

static void write_vector(const struct columnar_form *form, const uint8_t *wire, uint8_t *out)
{
    uint32_t count = load_be16(wire);
    wire += 4;
    if (element_of(form) == 4)
        for (uint32_t i = 0; i < count; i++)
            store_le32(out + 4 * (size_t)i, load_be32(wire + 4 * (size_t)i));
    else
        for (uint32_t i = 0; i < count; i++)
            store_le16(out + 2 * (size_t)i, load_be16(wire + 2 * (size_t)i));
}

int columnar_sparse(const uint8_t *wire, size_t size, struct columnar_sparse *out)
{
    if (size < 12)
        return -EBADMSG;
    uint32_t dim = load_be32(wire), count = load_be32(wire + 4);
    if (dim < 1 || dim > SPARSEVEC_DIMS_MOST || count > SPARSEVEC_VALUES_MOST || count > dim ||
        load_be32(wire + 8) != 0 || size != 12 + (size_t)count * 8)
        return -EBADMSG;
    for (uint32_t i = 0; i < count; i++)
        if (load_be32(wire + 12 + 4 * (size_t)i) >= dim)
            return -EBADMSG;
    *out = (struct columnar_sparse){dim, count, wire + 12, wire + 12 + 4 * (size_t)count};
    return 0;
}

static int check_text(const uint8_t *text, size_t size, const char **why)
{
    return utf8_holds(text, size) ? 0 : no_form(why, "text that is not UTF-8");
}

/* Looks at a value, and says how many bytes it has. `room`: 16 bytes that it may overwrite. */
static int look_at(const struct columnar_form *form, const uint8_t *wire, size_t size,
                   uint8_t *room, uint64_t *bytes, const char **why)
{
    struct columnar_sparse sparse;
    int rc;
    *bytes = form->width;
    switch ((enum wire)form->wire) {
    case WIRE_BOOL:
        return size == 1 && wire[0] <= 1 ? 0 : -EBADMSG;
    case WIRE_NUMBER:
        return size == form->width ? 0 : -EBADMSG;
    case WIRE_DATE:
        return read_date(wire, size, room, why);
    case WIRE_TIMESTAMP:
        return read_timestamp(wire, size, room, why);
    case WIRE_TIME:
        return read_time(wire, size, room, why);
    case WIRE_NUMERIC:
        return read_numeric(form, wire, size, room, why);
    case WIRE_BYTES:
        if (form->width == 0)
            *bytes = size;
        return *bytes == size ? 0 : -EBADMSG;
    case WIRE_TEXT:
        *bytes = size;
        return check_text(wire, size, why);
    case WIRE_JSONB:
        if (size < 1 || wire[0] != 1)
            return -EBADMSG;
        *bytes = size - 1;
        return check_text(wire + 1, size - 1, why);
    case WIRE_BITS:
        return read_bits(form, wire, size, NULL, why);
    case WIRE_BITS_TEXT:
        if (!is_bits(wire, size))
            return -EBADMSG;
        *bytes = load_be32(wire);
        return 0;
    case WIRE_VECTOR:
    case WIRE_HALFVEC:
        *bytes = size - 4;
        return check_vector(form, wire, size, why);
    case WIRE_SPARSEVEC:
        rc = columnar_sparse(wire, size, &sparse);
        *bytes = rc == 0 ? 8 * (uint64_t)sparse.count : 0;
        return rc;
    }
    return -EBADMSG;
}

uint64_t columnar_value_size(const struct columnar_form *form, const uint8_t *wire, size_t size)
{
    if (form->width > 0)
        return form->width;
    switch ((enum wire)form->wire) {
    case WIRE_JSONB:
        return size - 1;
    case WIRE_BITS_TEXT:
        return load_be32(wire);
    case WIRE_VECTOR:
    case WIRE_HALFVEC:
        return size - 4;
    case WIRE_SPARSEVEC:
        return size - 12;
    default:
        return size;
    }
}

int columnar_write(const struct columnar_form *form, const uint8_t *wire, size_t size, uint8_t *out)
{
    const char *why;
    switch ((enum wire)form->wire) {
    case WIRE_BOOL:
        *out = wire[0];
        return 0;
    case WIRE_NUMBER:
        reverse(out, wire, form->width);
        return 0;
    case WIRE_DATE:
        return read_date(wire, size, out, &why);
    case WIRE_TIMESTAMP:
        return read_timestamp(wire, size, out, &why);
    case WIRE_TIME:
        return read_time(wire, size, out, &why);
    case WIRE_NUMERIC:
        return read_numeric(form, wire, size, out, &why);
    case WIRE_BYTES:
    case WIRE_TEXT:
        copy_value(out, wire, size);
        return 0;
    case WIRE_JSONB:
        copy_value(out, wire + 1, size - 1);
        return 0;
    case WIRE_BITS:
        return read_bits(form, wire, size, out, &why);
    case WIRE_BITS_TEXT:
        write_bits_text(wire, out);
        return 0;
    case WIRE_VECTOR:
    case WIRE_HALFVEC:
        write_vector(form, wire, out);
        return 0;
    case WIRE_SPARSEVEC:
        break;
    }
    return -EBADMSG;
}

/* ---- whole columns ---- */

/* Whether values of this size are fine whatever their bytes are. */
static bool is_plain(const struct columnar_form *form, uint32_t size)
{
    bool sized = form->wire == WIRE_NUMBER || (form->wire == WIRE_BYTES && form->width > 0);
    return sized && form->width == size;
}

/* Looks at all values. *row: that of the value which failed. */
static int measure(const struct columnar_form *form, const struct run *run, uint32_t rows,
                   struct columnar_size *out, uint32_t *row, const char **why)
{
    struct run_cursor cursor = {.run = run};
    struct columnar_size total = {0};
    uint8_t room[16];
    if (run->fixed != RUN_VARIABLE && is_plain(form, run->fixed)) {
        out->nulls = 0;
        out->bytes = (uint64_t)rows * form->width;
        return 0;
    }
    for (*row = 0; *row < rows; ++*row) {
        const uint8_t *wire;
        size_t size;
        uint64_t bytes;
        if (!run_next(&cursor, &wire, &size)) {
            total.nulls++;
            continue;
        }
        int rc = look_at(form, wire, size, room, &bytes, why);
        if (rc < 0)
            return rc;
        total.bytes += bytes;
        if (form->width == 0 && total.bytes > INT32_MAX)
            return no_form(why, "text behind 2 GiB in a row group");
    }
    *out = total;
    return 0;
}

int columnar_measure(const struct columnar_form *form, const struct run *run, uint32_t rows,
                     struct columnar_size *out)
{
    const char *why;
    uint32_t row;
    return measure(form, run, rows, out, &row, &why);
}

int columnar_formless(const struct schema *schema, const struct rowgroup *group,
                      struct formless *out)
{
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (!column->in_copy)
            continue;
        const struct columnar_form form = columnar_form(column);
        struct columnar_size size;
        struct formless value = {.column = i};
        int rc = measure(&form, columnar_run(column, &form, group), group->rows, &size, &value.row,
                         &value.why);
        if (rc == -EDOM)
            *out = value;
        if (rc < 0)
            return rc == -EDOM ? 0 : rc;
    }
    return -ENOENT;
}

int columnar_fill(const struct columnar_form *form, const struct run *run, uint32_t rows, bool gaps,
                  uint8_t *out)
{
    struct run_cursor cursor = {.run = run};
    for (uint32_t row = 0; row < rows; row++) {
        const uint8_t *wire;
        size_t size;
        if (!run_next(&cursor, &wire, &size)) {
            memset(out, 0, gaps ? form->width : 0);
            out += gaps ? form->width : 0;
            continue;
        }
        int rc = columnar_write(form, wire, size, out);
        if (rc < 0)
            return rc;
        out += columnar_value_size(form, wire, size);
    }
    return 0;
}

uint32_t columnar_bits(const struct run *run, uint32_t rows, bool gaps, uint8_t *out)
{
    struct run_cursor cursor = {.run = run};
    uint32_t count = 0;
    memset(out, 0, ((size_t)rows + 7) / 8);
    for (uint32_t row = 0; row < rows; row++) {
        const uint8_t *wire;
        size_t size;
        bool given = run_next(&cursor, &wire, &size);
        if (given && wire[0] != 0)
            out[count / 8] |= (uint8_t)(1U << count % 8);
        count += given || gaps;
    }
    return count;
}

void columnar_validity(const struct run *run, uint32_t rows, uint8_t *out)
{
    memset(out, 0, ((size_t)rows + 7) / 8);
    for (uint32_t row = 0; row < rows; row++)
        if (run->fixed != RUN_VARIABLE || run->sizes[row] >= 0)
            out[row / 8] |= (uint8_t)(1U << row % 8);
}

void columnar_offsets(const struct columnar_form *form, const struct run *run, uint32_t rows,
                      uint32_t unit, uint8_t *out)
{
    struct run_cursor cursor = {.run = run};
    uint64_t at = 0;
    store_le32(out, 0);
    for (uint32_t row = 0; row < rows; row++) {
        const uint8_t *wire;
        size_t size;
        if (run_next(&cursor, &wire, &size))
            at += columnar_value_size(form, wire, size) / unit;
        store_le32(out + 4 * ((size_t)row + 1), (uint32_t)at);
    }
}
