#include "pgclient/selection.h"

#include "pgclient/identifier.h"

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

static bool is_utf8(const char *encoding) { return strcmp(encoding, "UTF8") == 0; }

static int put_rendered(struct buffer *sql, const char *name, enum part_kind kind,
                        const char *encoding)
{
    bool utf8 = is_utf8(encoding);
    int rc = utf8 ? 0 : buffer_append_text(sql, "pg_catalog.convert_to(");
    if (rc == 0)
        rc = buffer_append_text(sql, rendering[kind].before);
    if (rc == 0)
        rc = identifier_put(sql, name);
    if (rc == 0)
        rc = buffer_append_text(sql, rendering[kind].between);
    if (rc == 0)
        rc = identifier_put(sql, name);
    if (rc == 0)
        rc = buffer_append_text(sql, rendering[kind].after);
    bool as_it_is = kind == PART_TEXT && strcmp(encoding, "SQL_ASCII") == 0;
    return rc == 0 && !utf8 ? buffer_printf(sql, ", '%s')", as_it_is ? encoding : "UTF8") : rc;
}

static int put_separator(struct buffer *sql, int *targets)
{
    return buffer_append_text(sql, (*targets)++ > 0 ? ", " : " ");
}

static int put_array(struct buffer *sql, const struct schema *schema, enum part_kind kind,
                     const char *encoding, int *targets)
{
    if (schema->part_count[kind] == 0)
        return 0;
    int rc = put_separator(sql, targets), elements = 0;
    if (rc == 0)
        rc = buffer_append_text(sql, "ARRAY[");
    for (int i = 0; i < schema->column_count && rc == 0; i++) {
        if (schema->columns[i].part[kind] == PART_NONE)
            continue;
        if (elements++ > 0)
            rc = buffer_append_text(sql, ", ");
        if (rc == 0)
            rc = put_rendered(sql, schema->columns[i].name, kind, encoding);
    }
    if (rc == 0)
        rc = buffer_append_text(sql, is_utf8(encoding) ? "]::pg_catalog.text[]"
                                                       : "]::pg_catalog.bytea[]");
    return rc;
}

static int put_targets(struct buffer *sql, const struct schema *schema, const char *encoding)
{
    int targets = 0, rc = 0;
    if (schema->with_row_ids) {
        targets = 2;
        rc = buffer_append_text(sql, " ctid, xmin");
    }
    for (int i = 0; i < schema->column_count && rc == 0; i++) {
        if (schema->columns[i].part[PART_BINARY] == PART_NONE)
            continue;
        rc = put_separator(sql, &targets);
        if (rc == 0)
            rc = identifier_put(sql, schema->columns[i].name);
    }
    if (rc == 0)
        rc = put_array(sql, schema, PART_TEXT, encoding, &targets);
    if (rc == 0)
        rc = put_array(sql, schema, PART_JSON, encoding, &targets);
    return rc == 0 && targets > MOST_TARGETS ? -EOVERFLOW : rc;
}

int selection_put_range(struct buffer *sql, const struct ctid_range *range)
{
    const struct ctid *first = &range->first, *end = &range->end;
    bool from = first->block != 0 || first->offset != 0, to = end->block != UINT32_MAX;
    int rc = 0;
    if (from)
        rc = buffer_printf(sql, " WHERE ctid >= '(%u,%u)'::pg_catalog.tid", first->block,
                           first->offset);
    if (to && rc == 0)
        rc = buffer_printf(sql, " %s ctid < '(%u,%u)'::pg_catalog.tid", from ? "AND" : "WHERE",
                           end->block, end->offset);
    return rc;
}

int selection_put(struct buffer *sql, const struct schema *schema, const struct source *source,
                  const struct ctid_range *range, const char *encoding)
{
    int rc = buffer_append_text(sql, "SELECT");
    if (rc == 0)
        rc = put_targets(sql, schema, encoding);
    if (rc == 0)
        rc = buffer_printf(sql, " FROM %s", source->from);
    return rc == 0 && range != NULL ? selection_put_range(sql, range) : rc;
}
