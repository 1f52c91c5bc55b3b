#include "fs/tree/rows_dir.h"

#include "fs/tree/call.h"
#include "fs/tree/entries.h"
#include "fs/tree/row.h"
#include "fs/tree/row_file.h"
#include "fs/tree/row_names.h"
#include "pgclient/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rows_node {
    struct node node;
    char *reason;            /* why the last row that failed has failed */
    uint64_t reason_path;    /* the path of that row; 0: it was the list of all */
    struct row_names *names; /* those that calls wait for, or have: a reference; NULL: none */
};

static struct rows_node *of(const struct node *node) { return (struct rows_node *)node; }

static void let_go_of_names(struct rows_node *rows)
{
    row_task_unref(rows->names != NULL ? &rows->names->task : NULL);
    rows->names = NULL;
}

static void clear(struct node *node)
{
    free(of(node)->reason);
    let_go_of_names(of(node));
}

bool rows_dir_fits(const struct relation *relation)
{
    return relation->kind == RELATION_TABLE || relation->kind == RELATION_PARTITIONED ||
           relation->kind == RELATION_MATVIEW;
}

static bool exists(const struct mount *mount, const struct node *node)
{
    const struct relation *relation = node_relation(mount, node->parent);
    return relation != NULL && rows_dir_fits(relation);
}

/* ---- why something failed ---- */

static void keep_reason(struct node *node, uint64_t path, const char *reason)
{
    char *copy = reason != NULL ? strdup(reason) : NULL;
    if (copy == NULL)
        return;
    free(of(node)->reason);
    of(node)->reason = copy;
    of(node)->reason_path = path;
}

static const char *kept_reason(const struct node *node, uint64_t path)
{
    return of(node)->reason_path == path ? of(node)->reason : NULL;
}

static void reason(struct mount *mount, struct node *node, char *text, size_t size)
{
    (void)mount;
    snprintf(text, size, "%s", of(node)->reason != NULL ? of(node)->reason : "");
}

/* ---- the list ---- */

static int wait_for(struct call *call, struct row_names *names)
{
    call->awaited = names;
    call->on = &names->task.waiting;
    return -EAGAIN;
}

/* Asks for the names, each time that the directory is opened; calls that come meanwhile share them. */
static int need_names(struct mount *mount, struct call *call)
{
    struct rows_node *rows = of(call->node);
    struct row_names *names = rows->names;
    if (names != NULL && names->task.making)
        return wait_for(call, names);
    if (names != NULL && call->awaited == names && names->task.rc != -EINTR) {
        int failed = names->task.rc;
        if (failed < 0)
            keep_reason(call->node, 0, names->task.reason);
        return failed < 0 ? row_task_errno(failed) : 0;
    }
    let_go_of_names(rows);
    int rc = row_begin_all(mount);
    if (rc == 0)
        rc = row_names_ask(mount, node_relation(mount, call->node->parent), &rows->names);
    if (rc == 0 && rows->names->task.making)
        return wait_for(call, rows->names);
    return rc < 0 ? rc : row_task_errno(rows->names->task.rc);
}

static int ready(struct mount *mount, struct call *call)
{
    int rc = call_need_directory(mount, call);
    return rc == 0 && call->kind == CALL_OPENDIR ? need_names(mount, call) : rc;
}

static void rest(struct node *node)
{
    struct rows_node *rows = of(node);
    if (node->calls == 0 && rows->names != NULL && !rows->names->task.making)
        let_go_of_names(rows);
}

static void interrupted(struct call *call)
{
    struct row_names *names = of(call->node)->names;
    if (names != NULL && names->task.making && names->task.waiting.first == NULL &&
        call->node->calls == 1)
        row_task_stop(&names->task);
}

static int list(struct mount *mount, struct node *node, struct entries *out)
{
    const char *endings[ENTRY_ENDINGS_MOST];
    int count = 0;
    for (const struct row_ending *ending = row_endings; ending->ending != NULL; ending++) {
        int format = format_find(ending->format, strlen(ending->format));
        if (format >= 0 && (mount->options->listed_formats & 1U << format) != 0)
            endings[count++] = ending->ending;
    }
    entries_add_file(out, node, of(node)->names->file, endings, count);
    return 0;
}

const struct node_class rows_dir = {.mode = S_IFDIR | 0555,
                                    .size = sizeof(struct rows_node),
                                    .clear = clear,
                                    .lookup = row_file_look_up,
                                    .doubt = row_file_doubt,
                                    .list = list,
                                    .exists = exists,
                                    .keep_reason = keep_reason,
                                    .kept_reason = kept_reason,
                                    .ready = ready,
                                    .rest = rest,
                                    .interrupted = interrupted,
                                    .reason = reason};
