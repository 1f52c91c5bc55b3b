#include "pgclient/selection.h"

#include "pgclient/connection.h"
#include "pgclient/sql_text.h"

#include <errno.h>

enum { MOST_TARGETS = 1664 };

/* How the server renders one value, around its column's name. format('%s') is the output function
 * where ::text is not (bool, char(n), inet), but makes '' of NULL. IS NOT NULL would look into
 * composites; IS DISTINCT FROM NULL does not, and needs no equality. */
static const struct {
    const char *before, *between, *after;
} rendering[PART_KINDS] = {
    [PART_TEXT] = {"CASE WHEN ", " IS DISTINCT FROM NULL THEN pg_catalog.format('%s', ", ") END"},
    [PART_JSON] = {"CASE WHEN ", " IS DISTINCT FROM NULL THEN pg_catalog.to_json(",
                   ")::pg_catalog.text END"},
};

static void put_rendered(struct text *sql, const char *name, enum part_kind kind,
                         const char *encoding)
{
    bool utf8 = encoding_is_utf8(encoding);
    bool as_it_is = kind == PART_TEXT && strcmp(encoding, "SQL_ASCII") == 0;
    text_put(sql, utf8 ? "" : "pg_catalog.convert_to(");
    text_put(sql, rendering[kind].before);
    sql_name(sql, name);
    text_put(sql, rendering[kind].between);
    sql_name(sql, name);
    text_put(sql, rendering[kind].after);
    if (!utf8)
        text_printf(sql, ", '%s')", as_it_is ? encoding : "UTF8");
}

static void put_separator(struct text *sql, int *targets)
{
    text_put(sql, (*targets)++ > 0 ? ", " : " ");
}

static void put_array(struct text *sql, const struct schema *schema, enum part_kind kind,
                      const char *encoding, int *targets)
{
    int elements = 0;
    if (schema->part_count[kind] == 0)
        return;
    put_separator(sql, targets);
    text_put(sql, "ARRAY[");
    for (int i = 0; i < schema->column_count; i++) {
        if (schema->columns[i].part[kind] == PART_NONE)
            continue;
        text_put(sql, elements++ > 0 ? ", " : "");
        put_rendered(sql, schema->columns[i].name, kind, encoding);
    }
    text_put(sql, encoding_is_utf8(encoding) ? "]::pg_catalog.text[]" : "]::pg_catalog.bytea[]");
}

static void put_targets(struct text *sql, const struct schema *schema, const char *encoding)
{
    int targets = schema->with_row_ids ? 2 : 0;
    text_put(sql, schema->with_row_ids ? " ctid, xmin" : "");
    for (int i = 0; i < schema->column_count; i++) {
        if (schema->columns[i].part[PART_BINARY] == PART_NONE)
            continue;
        put_separator(sql, &targets);
        sql_name(sql, schema->columns[i].name);
    }
    put_array(sql, schema, PART_TEXT, encoding, &targets);
    put_array(sql, schema, PART_JSON, encoding, &targets);
    text_fail(sql, targets > MOST_TARGETS ? -EOVERFLOW : 0);
}

void selection_put_range(struct text *sql, const struct ctid_range *range)
{
    const struct ctid *first = &range->first, *end = &range->end;
    bool from = first->block != 0 || first->offset != 0, to = end->block != UINT32_MAX;
    if (from)
        text_printf(sql, " WHERE ctid >= '(%u,%u)'::pg_catalog.tid", first->block, first->offset);
    if (to)
        text_printf(sql, " %s ctid < '(%u,%u)'::pg_catalog.tid", from ? "AND" : "WHERE", end->block,
                    end->offset);
}

void selection_put(struct text *sql, const struct schema *schema, const struct source *source,
                   const struct ctid_range *range, const char *encoding)
{
    text_put(sql, "SELECT");
    put_targets(sql, schema, encoding);
    text_put(sql, " FROM ");
    text_put(sql, source->from);
    if (range != NULL)
        selection_put_range(sql, range);
}
