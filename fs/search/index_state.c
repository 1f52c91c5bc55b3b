#include "fs/search/index_state.h"

#include "fs/search/dims.h"
#include "fs/search/vector_index.h"

#include <errno.h>
#include <string.h>

/* Finds the dimensions of what is stored in the column. */
static int find_dims(struct corpus_cache *corpora, struct snapshot *snapshot, int column,
                     struct space *space, struct error *error)
{
    struct corpus *corpus;
    const struct span *spans = NULL;
    size_t count = 0;
    int rc = corpus_get(corpora, snapshot, &corpus, error);
    if (rc < 0)
        return rc;
    rc = corpus_spans(corpus, column, &spans, &count, error);
    if (rc == 0 && dims_stored(spans, count, space->element, &space->dims) < 0)
        rc = error_set(error, -EIO, "a value is no vector");
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
        struct space space = {(enum element)element, metric, dims_declared(column)};
        int rc = space.dims > 0 ? 0 : find_dims(search->corpora, snapshot, i, &space, error);
        return rc < 0 ? rc : vector_index_write_state(search->indexes, snapshot, i, &space, out);
    }
    return error_set(error, -ENOENT, "%s.%s has no vector column \"%s\" that %s compares",
                     snapshot->relation.schema, snapshot->relation.name, name, metric_name(metric));
}
