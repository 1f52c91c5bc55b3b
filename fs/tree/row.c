#include "fs/tree/row.h"

#include "codec/clock.h"
#include "codec/hash.h"
#include "fs/base/first_seen.h"
#include "fs/tree/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum {
    ROWS_KEPT = 256,
    KEPT_SHARE = 16, /* a 16th of memory= at most */
    PATHS_SEEN = 1 << 16
};

/* The share of memory= that one row may take. */
static uint64_t most_of(const struct mount *mount)
{
    enum { SHARE = 4, LEAST = 4 << 20 };
    uint64_t most = mount->options->memory / SHARE;
    return most < LEAST ? LEAST : most;
}

/* ---- rows that are kept ---- */

static void take_off(struct row *row)
{
    *row->at = row->next;
    if (row->next != NULL)
        row->next->at = row->at;
    row->at = NULL;
}

static void put_first(struct row *row)
{
    struct row **first = &row->task.mount->tree->rows;
    row->next = *first;
    row->at = first;
    if (row->next != NULL)
        row->next->at = &row->next;
    *first = row;
}

static void drop(struct row *row)
{
    struct tree *tree = row->task.mount->tree;
    tree->row_count--;
    tree->row_bytes -= row->bytes.size;
    take_off(row);
    row_unref(row);
}

static void drop_last(struct mount *mount)
{
    struct row *last = mount->tree->rows;
    while (last->next != NULL)
        last = last->next;
    drop(last);
}

static void keep(struct row *row)
{
    struct mount *mount = row->task.mount;
    put_first(row_ref(row));
    mount->tree->row_count++;
    mount->tree->row_bytes += row->bytes.size;
    uint64_t most = mount->options->memory / KEPT_SHARE;
    while (mount->tree->row_count > ROWS_KEPT ||
           (mount->tree->row_bytes > most && mount->tree->row_count > 1))
        drop_last(mount);
}

/* Keeps the row in place of an older one of the path. */
static void keep_newest(struct row *row)
{
    struct row *before = row_find(row->task.mount, row->path);
    if (before != NULL && before->promises.count == 0)
        drop(before);
    keep(row);
}

static struct row *used(struct row *row)
{
    if (row != NULL && row != row->task.mount->tree->rows) {
        take_off(row);
        put_first(row);
    }
    return row;
}

struct row *row_find(struct mount *mount, uint64_t path)
{
    struct row *found = NULL;
    for (struct row *row = mount->tree->rows; row != NULL; row = row->next)
        if (row->path == path && (found == NULL || row->asked_ms > found->asked_ms))
            found = row;
    return used(found);
}

struct row *row_promised(struct mount *mount, uint64_t path, caller_id caller)
{
    struct row *row = mount->tree->rows;
    while (row != NULL && (row->path != path || promise_find(&row->promises, caller) == NULL))
        row = row->next;
    return used(row);
}

/* An open node may have a row that is kept no more. */
void row_promise(struct row *row, caller_id caller, bool repeat)
{
    if (row->at == NULL)
        keep(row);
    if (repeat)
        promise_repeat(&row->promises, caller, NULL);
    else
        promise_tell(&row->promises, caller, NULL);
}

bool row_is_fresh(const struct row *row)
{
    return clock_ms() - row->asked_ms < row->task.mount->options->lease_ms;
}

/* ---- asking ---- */

static struct row *of(struct row_task *task) { return (struct row *)task; }

static int ask_row(struct row_task *task, const struct row_source *source, struct error *error)
{
    struct row *row = of(task);
    row->bytes.size = 0;
    row->asked_ms = clock_ms();
    int rc = row_fetch(source, &row->name, row->format, most_of(task->mount), &row->bytes, error);
    if (rc == 0) {
        uint64_t parts[] = {hash64(row->bytes.data, row->bytes.size), row->bytes.size,
                            task->relation.oid};
        row->contents = hash64(parts, sizeof parts);
        buffer_fit(&row->bytes);
    }
    return rc;
}

static void asked(struct row_task *task)
{
    struct row *row = of(task);
    if (task->rc < 0)
        return;
    row->since =
        first_seen_note(task->mount->tree->rows_seen, row->path, row->contents, time(NULL));
    keep_newest(row);
}

static void free_row(struct row_task *task)
{
    struct row *row = of(task);
    row_name_clear(&row->name);
    buffer_clear(&row->bytes);
    promises_clear(&row->promises);
    free(row);
}

static const struct row_task_class row_class = {.ask = ask_row, .asked = asked, .free = free_row};

int row_ask(struct mount *mount, const struct relation *relation, uint64_t path,
            struct row_name *name, int format, struct row **out)
{
    struct row *row = calloc(1, sizeof *row);
    int rc = row == NULL ? -ENOMEM : row_task_init(&row->task, &row_class, mount, relation);
    if (rc < 0) {
        row_name_clear(name);
        free(row);
        return rc;
    }
    row->path = path;
    row->name = *name;
    *name = (struct row_name){0};
    row->format = format;
    row_task_begin(&row->task);
    *out = row;
    return 0;
}

/* ---- open rows ---- */

/* They share the room of answers that are open; the first of all may always be opened. */
int row_open(struct row *row, struct error *error)
{
    enum { LEAST = 16 << 20 };
    struct mount *mount = row->task.mount;
    uint64_t half = mount->options->memory / 2, most = half > LEAST ? half : LEAST;
    uint64_t all = mount->tree->open_answer_bytes;
    if (all > 0 && all + row->bytes.size > most)
        return error_set(error, -ENOBUFS,
                         "the rows and answers that are open would take more than %" PRIu64
                         " MiB, half of memory=: close some, or mount with more memory",
                         most >> 20);
    mount->tree->open_answer_bytes += row->bytes.size;
    return 0;
}

void row_close(struct row *row) { row->task.mount->tree->open_answer_bytes -= row->bytes.size; }

/* ---- all rows of a mount ---- */

int row_begin_all(struct mount *mount)
{
    struct tree *tree = mount->tree;
    int rc = tree->rows_seen == NULL ? first_seen_new(PATHS_SEEN, &tree->rows_seen) : 0;
    if (rc == 0 && tree->row_layouts == NULL)
        rc = row_layouts_new(&tree->row_layouts);
    return rc;
}

void row_free_all(struct mount *mount)
{
    while (mount->tree->rows != NULL)
        drop(mount->tree->rows);
    first_seen_free(mount->tree->rows_seen);
    row_layouts_free(mount->tree->row_layouts);
}
