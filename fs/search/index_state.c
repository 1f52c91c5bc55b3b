#include "fs/search/index_state.h"

#include "fs/search/vector_index.h"

#include <errno.h>
#include <stdlib.h>

/* The number in vector(3); 0: the type does not say. That of bit varying(3) is but a limit. */
static uint32_t declared_dims(const struct column *column)
{
    if (strcmp(column->type_name, "bit") == 0)
        return 1;
    const char *open = strrchr(column->type_name, '(');
    if (open == NULL || strcmp(column->type->name, "varbit") == 0)
        return 0;
    char *end;
    unsigned long dims = strtoul(open + 1, &end, 10);
    return *end == ')' && dims <= UINT32_MAX ? (uint32_t)dims : 0;
}

/* Those of the first value; 0: there is none. */
static int stored_dims(const struct fetch_place *place, struct snapshot *snapshot, int column,
                       enum element element, uint32_t *out, struct error *error)
{
    struct corpus *corpus;
    const struct span *spans = NULL;
    size_t count = 0;
    int rc = corpus_get(place, snapshot, &corpus, error);
    if (rc < 0)
        return rc;
    rc = corpus_spans(corpus, column, &spans, &count, error);
    bool found = false;
    for (size_t i = 0; rc == 0 && !found && i < count; i++)
        for (uint32_t row = 0; rc == 0 && !found && row < spans[i].rows; row++) {
            size_t size;
            const uint8_t *value = span_value(&spans[i], row, &size);
            found = size > 0;
            if (found && value_dims(element, value, size, out) < 0)
                rc = error_set(error, -EIO, "a value is no vector");
        }
    corpus_unref(corpus);
    return rc;
}

int index_state_write(struct search *search, struct snapshot *snapshot, const char *name,
                      enum metric metric, struct buffer *out, struct error *error)
{
    const struct schema *schema = snapshot->schema;
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        int element = column->type != NULL ? element_find(column->type->name) : -1;
        if (strcmp(column->name, name) != 0 || element < 0 ||
            !metric_fits(metric, (enum element)element))
            continue;
        struct space space = {(enum element)element, metric, declared_dims(column)};
        int rc = space.dims > 0
                     ? 0
                     : stored_dims(search->place, snapshot, i, space.element, &space.dims, error);
        return rc < 0 ? rc : vector_index_write_state(search->indexes, snapshot, i, &space, out);
    }
    return error_set(error, -ENOENT, "%s.%s has no vector column \"%s\" that %s compares",
                     snapshot->relation.schema, snapshot->relation.name, name, metric_name(metric));
}
