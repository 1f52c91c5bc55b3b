#include "codec/schema.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

int schema_new(bool with_row_ids, struct schema **out)
{
    struct schema *schema = calloc(1, sizeof *schema);
    if (schema == NULL)
        return -ENOMEM;
    schema->with_row_ids = with_row_ids;
    *out = schema;
    return 0;
}

static bool is_power_of_two(int n) { return (n & (n - 1)) == 0; }

/* The array's capacity is the next power of two: so no member has to say it. */
static int make_room(struct schema *schema)
{
    int count = schema->column_count;
    if (!is_power_of_two(count))
        return 0;
    if (count > INT_MAX / 2)
        return -ENOMEM;
    size_t capacity = count == 0 ? 1 : (size_t)count * 2;
    struct column *columns = reallocarray(schema->columns, capacity, sizeof *columns);
    if (columns == NULL)
        return -ENOMEM;
    schema->columns = columns;
    return 0;
}

int schema_add(struct schema *schema, const char *name, const char *type_name,
               const struct type *type, bool in_copy)
{
    if (make_room(schema) != 0)
        return -ENOMEM;
    struct column column = {.name = strdup(name),
                            .type_name = strdup(type_name),
                            .type = type,
                            .in_copy = in_copy,
                            .part = {PART_NONE, PART_NONE, PART_NONE}};
    if (column.name == NULL || column.type_name == NULL) {
        free(column.name);
        free(column.type_name);
        return -ENOMEM;
    }
    schema->columns[schema->column_count++] = column;
    return 0;
}

static bool has_part(const struct column *column, enum part_kind kind, bool with_binary,
                     unsigned wanted)
{
    bool asked = (wanted & 1u << kind) != 0;
    switch (kind) {
    case PART_BINARY:
        return with_binary && ((asked && column->in_copy) || column->type != NULL);
    case PART_TEXT:
        return asked && column->in_copy && column->type == NULL;
    case PART_JSON:
        return asked && column->type == NULL;
    default:
        return false;
    }
}

void schema_number(struct schema *schema, const bool *with_binary, unsigned wanted)
{
    int next = 0;
    for (int kind = 0; kind < PART_KINDS; kind++) {
        int first = next;
        for (int i = 0; i < schema->column_count; i++) {
            struct column *column = &schema->columns[i];
            bool has = has_part(column, (enum part_kind)kind, with_binary[i], wanted);
            column->part[kind] = has ? next++ : PART_NONE;
        }
        schema->part_count[kind] = next - first;
    }
}

int schema_choose(const struct schema *schema, const int *numbers, int count, struct schema **out)
{
    struct schema *chosen;
    int rc = schema_new(schema->with_row_ids, &chosen);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < count; i++) {
        if (numbers[i] < 0 || numbers[i] >= schema->column_count) {
            rc = -EINVAL;
            break;
        }
        const struct column *from = &schema->columns[numbers[i]];
        rc = schema_add(chosen, from->name, from->type_name, from->type, from->in_copy);
        if (rc == 0)
            memcpy(chosen->columns[i].part, from->part, sizeof from->part);
    }
    if (rc < 0) {
        schema_free(chosen);
        return rc;
    }
    memcpy(chosen->part_count, schema->part_count, sizeof chosen->part_count);
    *out = chosen;
    return 0;
}

void schema_copy_all(struct schema *schema)
{
    for (int i = 0; i < schema->column_count; i++)
        schema->columns[i].in_copy = true;
}

int schema_parts(const struct schema *schema)
{
    int parts = 0;
    for (int kind = 0; kind < PART_KINDS; kind++)
        parts += schema->part_count[kind];
    return parts;
}

static bool column_same(const struct column *a, const struct column *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->type_name, b->type_name) == 0 &&
           a->type == b->type && a->in_copy == b->in_copy &&
           memcmp(a->part, b->part, sizeof a->part) == 0;
}

bool schema_same(const struct schema *a, const struct schema *b)
{
    bool same = a->column_count == b->column_count && a->with_row_ids == b->with_row_ids &&
                memcmp(a->part_count, b->part_count, sizeof a->part_count) == 0;
    for (int i = 0; same && i < a->column_count; i++)
        same = column_same(&a->columns[i], &b->columns[i]);
    return same;
}

void schema_free(struct schema *schema)
{
    if (schema == NULL)
        return;
    for (int i = 0; i < schema->column_count; i++) {
        free(schema->columns[i].name);
        free(schema->columns[i].type_name);
    }
    free(schema->columns);
    free(schema);
}

/* The record: u32 column count, u8 with_row_ids, then for each column
 *
 *   string name, string type_name
 *   u8  bits: 1 in_copy, 2 rendered here, 4 of an extension, 8 << kind: has a part of this kind
 *   string type->name        if rendered here
 *   string type->extension   if rendered here and of an extension
 *
 * The parts' numbers follow from their order. */
enum { BIT_IN_COPY = 1, BIT_RENDERED = 2, BIT_EXTENSION = 4, BIT_PART = 8, BITS_ALL = 63 };

static void put_column(const struct column *column, struct text *out)
{
    unsigned bits = column->in_copy ? BIT_IN_COPY : 0;
    if (column->type != NULL)
        bits |= BIT_RENDERED | (column->type->extension != NULL ? BIT_EXTENSION : 0);
    for (int kind = 0; kind < PART_KINDS; kind++)
        if (column->part[kind] != PART_NONE)
            bits |= (unsigned)BIT_PART << kind;
    record_put_string(out, column->name);
    record_put_string(out, column->type_name);
    record_put_u8(out, (uint8_t)bits);
    if (bits & BIT_RENDERED)
        record_put_string(out, column->type->name);
    if (bits & BIT_EXTENSION)
        record_put_string(out, column->type->extension);
}

void schema_put(const struct schema *schema, struct text *out)
{
    record_put_u32(out, (uint32_t)schema->column_count);
    record_put_u8(out, schema->with_row_ids);
    for (int i = 0; i < schema->column_count; i++)
        put_column(&schema->columns[i], out);
}

/* The type that a column's record names. NULL, and bad: this program does not render it (any
 * more). */
static const struct type *get_type(struct record_reader *in, unsigned bits)
{
    char *name = record_get_string(in);
    char *extension = bits & BIT_EXTENSION ? record_get_string(in) : NULL;
    const struct type *type = in->bad ? NULL : type_find(extension, name);
    in->bad |= type == NULL;
    free(name);
    free(extension);
    return type;
}

static int get_column(struct record_reader *in, struct schema *schema)
{
    char *name = record_get_string(in);
    char *type_name = record_get_string(in);
    unsigned bits = record_get_u8(in);
    const struct type *type = bits & BIT_RENDERED ? get_type(in, bits) : NULL;
    in->bad |= bits > BITS_ALL || (!(bits & BIT_RENDERED) && (bits & BIT_EXTENSION));
    int rc = in->bad ? -EBADMSG : schema_add(schema, name, type_name, type, bits & BIT_IN_COPY);
    if (rc == 0) {
        struct column *column = &schema->columns[schema->column_count - 1];
        for (int kind = 0; kind < PART_KINDS; kind++)
            if (bits & (unsigned)BIT_PART << kind)
                column->part[kind] = schema->part_count[kind]++;
    }
    free(name);
    free(type_name);
    return rc;
}

/* Within their kind the parts have numbers already. Here the kinds are put one behind another. */
static void shift_parts(struct schema *schema)
{
    int first = 0;
    for (int kind = 0; kind < PART_KINDS; kind++) {
        for (int i = 0; i < schema->column_count; i++)
            if (schema->columns[i].part[kind] != PART_NONE)
                schema->columns[i].part[kind] += first;
        first += schema->part_count[kind];
    }
}

int schema_get(struct record_reader *in, struct schema **out)
{
    uint32_t count = record_get_u32(in);
    uint8_t with_row_ids = record_get_u8(in);
    if (in->bad || with_row_ids > 1)
        return -EBADMSG;
    struct schema *schema;
    int rc = schema_new(with_row_ids, &schema);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < count && rc == 0; i++)
        rc = get_column(in, schema);
    if (rc != 0) {
        schema_free(schema);
        return rc;
    }
    shift_parts(schema);
    *out = schema;
    return 0;
}
