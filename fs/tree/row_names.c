#include "fs/tree/row_names.h"

#include <errno.h>
#include <stdlib.h>

static struct row_names *of(struct row_task *task) { return (struct row_names *)task; }

static int ask_names(struct row_task *task, const struct row_source *source, struct error *error)
{
    return row_fetch_names(source, &of(task)->file, error);
}

static void free_names(struct row_task *task)
{
    name_file_unref(of(task)->file);
    free(task);
}

static const struct row_task_class names_class = {.ask = ask_names, .free = free_names};

int row_names_ask(struct mount *mount, const struct relation *relation, struct row_names **out)
{
    struct row_names *names = calloc(1, sizeof *names);
    int rc = names == NULL ? -ENOMEM : row_task_init(&names->task, &names_class, mount, relation);
    if (rc < 0) {
        free(names);
        return rc;
    }
    row_task_begin(&names->task);
    *out = names;
    return 0;
}
