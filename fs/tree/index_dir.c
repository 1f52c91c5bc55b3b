#include "fs/tree/index_dir.h"

#include "fs/base/name.h"
#include "fs/tree/answer_file.h"
#include "fs/tree/call.h"
#include "fs/tree/entries.h"
#include "fs/tree/near_dir.h"

#include <errno.h>
#include <string.h>

static const char suffix[] = ".json";

/* Finds the column and the metric in a name. */
static int question_of(const char *name, struct question *out)
{
    size_t n = strlen(name), tail = strlen(suffix);
    if (n <= tail || strcmp(name + n - tail, suffix) != 0)
        return -ENOENT;
    const char *dot = memrchr(name, '.', n - tail);
    int metric = dot != NULL ? metric_find(dot + 1, n - tail - (size_t)(dot + 1 - name)) : -1;
    if (metric < 0)
        return -ENOENT;
    int rc = question_init(out);
    if (rc < 0)
        return rc;
    out->metric = metric;
    rc = near_column(name, (size_t)(dot - name), &out->column);
    if (rc < 0)
        question_clear(out);
    return rc;
}

static int look_up_state(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct question question;
    int rc = question_of(lookup->name, &question);
    return rc < 0 ? rc : answer_file_look_up_path(mount, lookup, RESULT_INDEX, 0, &question, out);
}

static int list_metrics(const struct node *node, const struct column *column, struct entries *out)
{
    int element = column->type != NULL ? element_find(column->type->name) : -1, rc = 0;
    struct buffer name = {0};
    for (int metric = 0; rc == 0 && element >= 0 && metric < METRIC_COUNT; metric++) {
        if (!metric_fits((enum metric)metric, (enum element)element))
            continue;
        name.size = 0;
        rc = name_encode(column->name, &name);
        if (rc == 0)
            rc = buffer_printf(&name, ".%s%s", metric_name((enum metric)metric), suffix);
        if (rc == 0)
            rc = entries_add(out, node, (char *)name.data, false);
    }
    buffer_clear(&name);
    return rc;
}

/* Lists states, if the columns are known. */
static int list_states(struct mount *mount, struct node *node, struct entries *out)
{
    const struct subject *rows = node_rows(mount, node);
    const struct snapshot *snapshot =
        rows != NULL && rows->current != NULL ? rows->current->snapshot : NULL;
    int rc = 0;
    for (int i = 0; rc == 0 && snapshot != NULL && i < snapshot->schema->column_count; i++)
        rc = list_metrics(node, &snapshot->schema->columns[i], out);
    return rc;
}

const struct node_class index_dir = {
    .mode = S_IFDIR | 0555,
    .size = sizeof(struct node),
    .lookup = look_up_state,
    .list = list_states,
    .exists = node_exists_in_parent,
    .ready = call_need_directory,
};
