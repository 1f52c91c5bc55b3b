/* What an answer tells of the rows found: which columns, and their values. */
#include "fs/search/answer_parts.h"

#include "codec/bytes.h"
#include "codec/column_list.h"
#include "codec/rowgroup_pick.h"
#include "codec/text.h"

#include <errno.h>
#include <stdlib.h>

/* ---- columns ---- */

static int no_memory(const struct answer *answer)
{
    return error_set(answer->error, -ENOMEM, "no memory for the answer");
}

static int add(struct answer *answer, int source, const char *name, const char *type_name,
               const struct type *type, bool in_copy)
{
    if (schema_add(answer->schema, name, type_name, type, in_copy) < 0)
        return no_memory(answer);
    answer->sources[answer->schema->column_count - 1] = source;
    return 0;
}

/* `named`: the question names the column, so that CSV has it, too. */
static int add_column(struct answer *answer, int number, bool named)
{
    const struct column *column = &answer->snapshot->schema->columns[number];
    return add(answer, number, column->name, column->type_name, column->type,
               column->in_copy || named);
}

static bool is_vector(const struct column *column)
{
    return column->type != NULL && element_find(column->type->name) >= 0;
}

static int add_listed(struct answer *answer, const char *list)
{
    int *numbers, count;
    int rc = column_list_numbers(list, answer->snapshot->schema, &numbers, &count, answer->error);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < count; i++)
        rc = add_column(answer, numbers[i], true);
    free(numbers);
    return rc;
}

static int add_all(struct answer *answer, bool vectors)
{
    const struct schema *schema = answer->snapshot->schema;
    int rc = 0;
    for (int i = 0; rc == 0 && i < schema->column_count; i++)
        if (vectors || !is_vector(&schema->columns[i]))
            rc = add_column(answer, i, false);
    return rc;
}

/* Gives each column the parts that the format needs, as far as the table has them: the binary of
 * what is rendered here, else what the server has rendered. */
static void number_parts(struct answer *answer)
{
    struct schema *schema = answer->schema;
    int next = 0;
    for (int kind = 0; kind < PART_KINDS; kind++) {
        int first = next;
        bool wanted = kind == PART_BINARY || (formats[answer->format]->parts & 1U << kind) != 0;
        for (int i = 0; i < schema->column_count; i++) {
            int source = answer->sources[i];
            bool has = source < 0
                           ? kind == PART_BINARY
                           : answer->snapshot->schema->columns[source].part[kind] != PART_NONE &&
                                 wanted && (kind != PART_BINARY || schema->columns[i].type != NULL);
            schema->columns[i].part[kind] = has ? next++ : PART_NONE;
        }
        schema->part_count[kind] = next - first;
    }
}

/* Checks whether the server has refused to give a column's text, or its JSON. */
static int check_format(const struct answer *answer)
{
    const struct schema *schema = answer->schema;
    const struct format *format = formats[answer->format];
    if (format->possible(schema))
        return 0;
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        bool lacks = column->type == NULL;
        for (int kind = 0; kind < PART_KINDS; kind++)
            lacks &= (format->parts & 1U << kind) == 0 || column->part[kind] == PART_NONE;
        if (lacks && column->in_copy)
            return error_set(answer->error, -EINVAL,
                             "column \"%s\" cannot be had as %s; name others in `columns`",
                             column->name, format->name);
    }
    return error_set(answer->error, -EINVAL, "the columns cannot be had as %s", format->name);
}

/* Adds a column of ours, whose name differs from those of all of the table's columns, in the answer
 * or not: `distance`, else `distance_`, `distance__`, … So a column's name does not depend on which
 * others the answer has. */
static int add_own(struct answer *answer, int source, const char *wanted, const char *type_name,
                   const char *type)
{
    const struct schema *schema = answer->snapshot->schema;
    struct text name = {0};
    text_put(&name, wanted);
    for (int i = 0; i < schema->column_count && text_string(&name) != NULL; i++)
        if (strcmp(schema->columns[i].name, text_string(&name)) == 0) {
            text_put_byte(&name, '_');
            i = -1; /* compare with all again */
        }
    const char *string = text_string(&name);
    int rc = string == NULL ? no_memory(answer)
                            : add(answer, source, string, type_name, type_find(NULL, type), true);
    text_clear(&name);
    return rc;
}

int answer_columns(struct answer *answer)
{
    const char *list = answer->question->columns;
    int most = answer->snapshot->schema->column_count + 4;
    answer->sources = calloc((size_t)most, sizeof *answer->sources);
    if (answer->sources == NULL || schema_new(false, &answer->schema) < 0)
        return no_memory(answer);
    int rc = 0;
    if (answer->batched)
        rc = add_own(answer, SOURCE_QUERY, "query", "integer", "int4");
    if (rc == 0)
        rc = list == NULL             ? add_all(answer, false)
             : strcmp(list, "*") == 0 ? add_all(answer, true)
                                      : add_listed(answer, list);
    if (rc == 0)
        rc = add_own(answer, SOURCE_DISTANCE, "distance", "double precision", "float8");
    if (rc < 0)
        return rc;
    number_parts(answer);
    return check_format(answer);
}

/* ---- values ---- */

/* Whether the answer, with so many bytes more, needs room among the large ones, and has none. */
static bool lacks_room(const struct answer *answer, size_t size)
{
    enum { SMALL = 256 << 10 };
    return !answer->large && size + answer->taken > SMALL;
}

int answer_enter_room(struct answer *answer)
{
    if (answer->large)
        return 0;
    int rc = answer_room_enter(&answer->search->room, answer->error);
    answer->large = rc == 0;
    return rc;
}

/* Which values a run of the answer has. */
struct picked {
    int source;
    int part; /* a part of the table's column */
};

/* The most rows picked at once. */
enum { ROWS_AT_ONCE = 1024 };

struct picking {
    struct answer *answer;
    size_t next_query; /* the next row is found[next] of this query */
    uint32_t next;
    uint32_t count; /* number of the rows that follow */
    struct corpus_row rows[ROWS_AT_ONCE];
    struct neighbour found[ROWS_AT_ONCE];
    uint32_t query[ROWS_AT_ONCE]; /* the query of each */
    const struct picked *runs;
};

static int put_be32(struct buffer *out, uint32_t value)
{
    uint8_t bytes[4];
    store_be32(bytes, value);
    return buffer_append(out, bytes, sizeof bytes);
}

static int put_be64(struct buffer *out, uint64_t value)
{
    uint8_t bytes[8];
    store_be64(bytes, value);
    return buffer_append(out, bytes, sizeof bytes);
}

/* *lacks: the value needs room, and is not appended. */
static int put_value(struct answer *answer, struct corpus_row row, int part, struct buffer *out,
                     bool *lacks)
{
    const uint8_t *bytes;
    int32_t size = 0;
    corpus_pin(answer->corpus, row.group);
    int rc = corpus_value(answer->corpus, row, part, &bytes, &size, answer->error);
    *lacks = rc == 0 && size > 0 && lacks_room(answer, (size_t)size);
    if (rc == 0 && size > 0 && !*lacks)
        rc = answer_fits(answer, answer->taken += (uint64_t)size);
    if (rc == 0 && !*lacks)
        rc = size < 0 ? PICK_NULL : buffer_append(out, bytes, (size_t)size);
    corpus_unpin(answer->corpus, row.group);
    return rc;
}

static int pick(void *context, int run, uint32_t row, struct buffer *out)
{
    const struct picking *picking = context;
    const struct picked *picked = &picking->runs[run];
    if (picked->source == SOURCE_QUERY)
        return put_be32(out, picking->query[row]);
    if (picked->source == SOURCE_DISTANCE) {
        uint64_t bits;
        memcpy(&bits, &picking->found[row].distance, sizeof bits);
        return put_be64(out, bits);
    }
    bool lacks;
    int rc = put_value(picking->answer, picking->rows[row], picked->part, out, &lacks);
    if (rc == 0 && lacks)
        rc = answer_enter_room(picking->answer);
    if (rc == 0 && lacks)
        rc = put_value(picking->answer, picking->rows[row], picked->part, out, &lacks);
    if (picking->answer->large) /* the value may have come from the server */
        answer_room_moves(&picking->answer->search->room);
    return rc;
}

static struct picked *list_runs(const struct answer *answer)
{
    const struct schema *schema = answer->schema;
    struct picked *runs = calloc((size_t)schema_parts(schema) + 1, sizeof *runs);
    for (int i = 0; runs != NULL && i < schema->column_count; i++)
        for (int kind = 0; kind < PART_KINDS; kind++) {
            int part = schema->columns[i].part[kind], source = answer->sources[i];
            if (part == PART_NONE)
                continue;
            runs[part].source = source;
            if (source >= 0)
                runs[part].part = answer->snapshot->schema->columns[source].part[kind];
        }
    return runs;
}

/* Gathers the next rows of all queries, as many as are allowed. */
static void gather(struct picking *picking, uint32_t most)
{
    const struct answer *answer = picking->answer;
    picking->count = 0;
    while (picking->count < most && picking->next_query < answer->query_count) {
        size_t i = picking->next_query;
        if (picking->next == answer->counts[i]) {
            picking->next_query++;
            picking->next = 0;
            continue;
        }
        uint32_t n = picking->count++;
        picking->found[n] = answer->found[i * answer->room + picking->next++];
        picking->rows[n] = corpus_row(answer->corpus, picking->found[n].row);
        picking->query[n] = (uint32_t)i;
    }
}

static int render(struct answer *answer, const struct rowgroup *group, struct buffer *out)
{
    const struct format *format = formats[answer->format];
    int rc = format->body(answer->schema, group, NULL, out);
    if (rc == -EBADMSG)
        rc = error_set(answer->error, -EIO, "a value cannot be written as %s", format->name);
    return rc == -ENOMEM ? no_memory(answer) : rc;
}

/* How many rows to render next: few if they are long, since their values are in memory beside the
 * text. */
static uint32_t rows_next(const struct answer *answer)
{
    enum { FIRST = 64, BYTES = 1 << 20 };
    if (answer->returned == 0)
        return FIRST;
    uint64_t rows = BYTES / (answer->taken / answer->returned + 1);
    return rows < 1 ? 1 : rows < ROWS_AT_ONCE ? (uint32_t)rows : ROWS_AT_ONCE;
}

static int put_rows(struct picking *picking, struct buffer *out)
{
    struct answer *answer = picking->answer;
    struct rowgroup *group = NULL;
    int rc = rowgroup_pick(schema_parts(answer->schema), picking->count, pick, picking, &group);
    if (rc == -ENOMEM)
        no_memory(answer);
    if (rc == 0)
        rc = render(answer, group, out);
    rowgroup_free(group);
    answer->returned += picking->count;
    if (rc == 0)
        rc = answer_fits(answer, out->size);
    if (rc == 0 && lacks_room(answer, out->size))
        rc = answer_enter_room(answer);
    if (rc == 0 && answer->large)
        answer_room_moves(&answer->search->room);
    return rc;
}

int answer_rows(struct answer *answer, struct buffer *out)
{
    struct picked *runs = list_runs(answer);
    struct picking *picking = malloc(sizeof *picking);
    int rc = runs == NULL || picking == NULL ? no_memory(answer) : 0;
    if (rc == 0) {
        picking->answer = answer;
        picking->runs = runs;
        picking->next_query = picking->next = 0;
        do {
            gather(picking, rows_next(answer));
            if (picking->count > 0 || answer->returned == 0)
                rc = put_rows(picking, out);
        } while (rc == 0 && picking->count > 0);
    }
    free(picking);
    free(runs);
    return rc;
}
