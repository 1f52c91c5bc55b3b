#include "fs/tree/row_file.h"

#include "codec/clock.h"
#include "codec/hash.h"
#include "fs/tables/listing.h"
#include "fs/tree/call.h"
#include "fs/tree/row.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRIES = 3 }; /* if the table is renamed or dropped, or changes its columns, meanwhile */

static const struct node_class row_file;

struct row_node {
    struct node node;
    uint64_t path;
    int format;
    bool shows; /* what it shows is known: */
    uint64_t contents, size;
    int64_t since;
    uint32_t relation;
    int64_t asked_ms;      /* clock_ms() when the server was asked last, and it was the same */
    struct row *row;       /* that, with its bytes: a reference; NULL: not at hand */
    struct row *asking;    /* the last question for it: a reference; NULL: none */
    struct promises shown; /* the callers that have only looked it up, since they called last */
};

static struct row_node *of(const struct node *node) { return (struct row_node *)node; }

/* ---- what a node shows ---- */

static bool is_same(const struct row_node *file, const struct row *row)
{
    return file->shows && file->contents == row->contents && file->size == row->bytes.size;
}

/* Shows the row from now on, or goes on showing it: the node gets the bytes. */
static void show(struct row_node *file, struct row *row)
{
    file->shows = true;
    file->contents = row->contents;
    file->size = row->bytes.size;
    file->since = row->since;
    file->relation = row->task.relation.oid;
    if (row->asked_ms > file->asked_ms)
        file->asked_ms = row->asked_ms;
    if (file->row == NULL)
        file->row = row_ref(row);
}

static void forget_question(struct row_node *file)
{
    row_unref(file->asking);
    file->asking = NULL;
}

static void rest(struct node *node)
{
    struct row_node *file = of(node);
    promises_expire(&file->shown);
    if (node->opens > 0 || node->calls > 0)
        return;
    row_unref(file->row);
    file->row = NULL;
    if (file->asking != NULL && !file->asking->task.making)
        forget_question(file);
}

static void clear(struct node *node)
{
    row_unref(of(node)->row);
    row_unref(of(node)->asking);
    promises_clear(&of(node)->shown);
}

/* ---- look-up ---- */

const struct row_ending row_endings[] = {{".json", "jsonl"}, {".csv", "csv"}, {NULL, NULL}};

/* Takes a file's name apart. -1: it has no such ending. */
static int format_of(const char *name, size_t *size)
{
    size_t n = strlen(name);
    for (const struct row_ending *ending = row_endings; ending->ending != NULL; ending++) {
        size_t tail = strlen(ending->ending);
        *size = n - tail;
        if (n >= tail && strcmp(name + n - tail, ending->ending) == 0)
            return format_find(ending->format, strlen(ending->format));
    }
    return -1;
}

/* The next file of the path at or behind this node in its directory; NULL: none. */
static struct row_node *next_of(struct node *node, uint64_t path)
{
    while (node != NULL && (node->class != &row_file || of(node)->path != path))
        node = node->next_file;
    return node != NULL ? of(node) : NULL;
}

/* Of the nodes of the path that show the row the oldest: a process that goes by one has that one for
 * as long as the row is the same. NULL: none. */
static struct row_node *node_with(const struct node *parent, uint64_t path, const struct row *row)
{
    struct row_node *oldest = NULL;
    for (struct row_node *file = next_of(parent->files, path); file != NULL;
         file = next_of(file->node.next_file, path))
        if (is_same(file, row))
            oldest = file;
    return oldest;
}

/* The latest node of the path that shows what was true last, else nothing, for a caller that must
 * ask: an open node would answer for what it is. NULL: none. */
static struct row_node *node_to_ask(const struct node *parent, uint64_t path)
{
    struct row_node *pending = NULL;
    for (struct row_node *file = next_of(parent->files, path); file != NULL;
         file = next_of(file->node.next_file, path)) {
        if (file->shows && file->node.opens == 0)
            return file;
        if (!file->shows && pending == NULL)
            pending = file;
    }
    return pending;
}

/* The row that the caller is shown without asking the server; NULL: the server must be asked. */
static struct row *at_hand(struct mount *mount, const struct node *parent, uint64_t path,
                           caller_id caller)
{
    struct row *row = row_promised(mount, path, caller);
    if (row != NULL)
        return row;
    const struct relation *relation = node_relation(mount, parent->parent);
    row = row_find(mount, path);
    bool holds = row != NULL && relation != NULL && row->task.relation.oid == relation->oid &&
                 row_is_fresh(row);
    return holds ? row : NULL;
}

struct node *row_file_doubt(struct mount *mount, const struct lookup *lookup)
{
    size_t size;
    uint64_t path = node_path(lookup->parent, lookup->name);
    if (format_of(lookup->name, &size) < 0 ||
        at_hand(mount, lookup->parent, path, lookup->caller) != NULL)
        return NULL;
    struct row_node *file = next_of(lookup->parent->files, path);
    while (file != NULL && !(file->shows && file->node.opens > 0))
        file = next_of(file->node.next_file, path);
    return file != NULL ? &file->node : NULL;
}

/* Notes that the caller has looked it up: so its stat is known to be by path. */
static void note_look(struct row_node *file, caller_id caller)
{
    promise_show(&file->shown, caller, NULL, &(struct glance){.nodeid = file->node.nodeid});
}

int row_file_look_up(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    size_t size;
    int format = format_of(lookup->name, &size);
    struct row_name name;
    int rc = format < 0 ? -ENOENT : row_name_read(lookup->name, size, &name);
    if (rc < 0)
        return rc;
    row_name_clear(&name);
    rc = row_begin_all(mount);
    if (rc < 0)
        return rc;
    uint64_t path = node_path(lookup->parent, lookup->name);
    struct row *row = at_hand(mount, lookup->parent, path, lookup->caller);
    struct row_node *known =
        row != NULL ? node_with(lookup->parent, path, row) : node_to_ask(lookup->parent, path);
    if (known != NULL) {
        *out = &known->node;
        note_look(known, lookup->caller);
        return 0;
    }
    rc = node_new(mount, lookup->parent, &row_file, lookup->name, out);
    if (rc < 0)
        return rc;
    of(*out)->path = path;
    of(*out)->format = format;
    if (row != NULL) {
        show(of(*out), row);
        rest(*out); /* no call is at work on it yet */
        (*out)->told = true;
    }
    note_look(of(*out), lookup->caller);
    return 0;
}

/* ---- what a call waits for ---- */

/* Whether the bytes are at hand, for a call that needs them. */
static bool has_bytes(struct mount *mount, const struct call *call)
{
    struct row_node *file = of(call->node);
    struct row *row = file->row != NULL ? file->row : row_promised(mount, file->path, call->caller);
    if (row == NULL || !is_same(file, row))
        row = row_find(mount, file->path);
    if (row == NULL || !is_same(file, row))
        return false;
    if (file->row == NULL)
        file->row = row_ref(row);
    return true;
}

/* Whether the call may have what the node shows, without asking the server. */
static bool is_good_for(struct mount *mount, const struct call *call)
{
    const struct row_node *file = of(call->node);
    const struct row *promised = row_promised(mount, file->path, call->caller);
    bool fresh = clock_ms() - file->asked_ms < mount->options->lease_ms;
    bool told = promised != NULL && is_same(file, promised);
    return (file->node.opens > 0 || fresh || told) &&
           (call->kind != CALL_OPEN || has_bytes(mount, call));
}

/* Needs to know which relation the name stands for. */
static int need_relation(struct mount *mount, struct call *call, const struct relation **out)
{
    struct node *directory = node_table(call->node);
    const struct relation *relation = node_relation(mount, directory);
    if (relation == NULL || listing_is_doubted(mount)) {
        int rc = call_need_listing(mount, call, false);
        if (rc < 0)
            return rc;
        relation = node_relation(mount, directory);
    }
    *out = relation;
    return relation != NULL ? 0 : -ENOENT;
}

static int wait_for(struct call *call, struct row *row)
{
    call->awaited = row;
    call->on = &row->task.waiting;
    return -EAGAIN;
}

static int ask_for_row(struct mount *mount, struct call *call)
{
    struct row_node *file = of(call->node);
    const struct relation *relation;
    struct row_name name;
    struct row *row;
    size_t size;
    int rc = need_relation(mount, call, &relation);
    if (rc < 0)
        return rc;
    (void)format_of(file->node.name, &size);
    rc = row_name_read(file->node.name, size, &name);
    if (rc == 0)
        rc = row_ask(mount, relation, file->path, &name, file->format, &row);
    if (rc < 0)
        return rc;
    forget_question(file);
    file->asking = row;
    if (row->task.making)
        return wait_for(call, row);
    return row_task_errno(row->task.rc);
}

/* The name stands for another relation by now, or for none. */
static int look_again(struct mount *mount, struct call *call)
{
    call->awaited = NULL;
    if (++call->tries == TRIES)
        return -EIO;
    call->listing_asked = false;
    call->listing_seen = listing_now(mount);
    listing_doubt(mount);
    return -EAGAIN;
}

/* What the answer means to the call that waited for it; -EAGAIN: it must be asked again. */
static int settle(struct mount *mount, struct call *call, struct row *row)
{
    struct row_node *file = of(call->node);
    int rc = row->task.rc;
    if (rc == -EINTR) {
        call->awaited = NULL;
        return -EAGAIN;
    }
    if (rc == -ESTALE && (rc = look_again(mount, call)) == -EAGAIN)
        return rc;
    if (rc < 0) {
        if (rc != -ENOENT)
            node_keep_reason(&file->node, file->path, row->task.reason);
        return row_task_errno(rc);
    }
    if (!file->shows || is_same(file, row)) {
        show(file, row);
        return 0;
    }
    promise_tell(&row->promises, call->caller, NULL);
    return -ESTALE;
}

/* Whether the last question for it is over, and the call has waited for it. */
static bool has_answer(const struct call *call)
{
    const struct row *asking = of(call->node)->asking;
    return asking != NULL && call->awaited == asking && !asking->task.making;
}

/* Asks for the row of an open node. A failure is not told here, but to calls that ask for more than
 * the name. */
static int try_lookup(struct mount *mount, struct call *call)
{
    struct row *asking = of(call->node)->asking;
    struct lookup lookup = call_lookup(call);
    if (has_answer(call) && asking->task.rc != -EINTR)
        return 0;
    if (call_looks_no_longer(call) || row_file_doubt(mount, &lookup) == NULL)
        return 0;
    if (asking != NULL && asking->task.making)
        return wait_for(call, asking);
    return ask_for_row(mount, call) == -EAGAIN ? -EAGAIN : 0;
}

static int ready(struct mount *mount, struct call *call)
{
    const struct row_node *file = of(call->node);
    struct row *asking = file->asking;
    if (call->kind == CALL_LOOKUP)
        return try_lookup(mount, call);
    if (has_answer(call)) {
        int rc = settle(mount, call, asking);
        if (rc != -EAGAIN)
            return rc;
    }
    if (file->shows && is_good_for(mount, call))
        return 0;
    asking = file->asking;
    return asking != NULL && asking->task.making ? wait_for(call, asking)
                                                 : ask_for_row(mount, call);
}

/* A question whose last waiter is gone is not needed. */
static void interrupted(struct call *call)
{
    struct row *row = of(call->node)->asking;
    if (row != NULL && row->task.making && row->task.waiting.first == NULL &&
        call->node->calls == 1)
        row_task_stop(&row->task);
}

/* Promises the row to a caller that was told of it, so that its open gives the same; not for fstat,
 * or a process that polls would never see a change. */
static void promise_shown(struct call *call)
{
    struct row_node *file = of(call->node);
    bool by_path = file->node.opens == 0 || promise_find(&file->shown, call->caller) != NULL;
    if ((call->awaited != NULL || by_path) && has_bytes(call->mount, call))
        row_promise(file->row, call->caller, call->awaited == NULL);
}

/* Promises a look-up the row that it has waited for: so the name leads to that. */
static void settled(struct call *call, int rc)
{
    struct row_node *file = of(call->node);
    if (call->kind == CALL_LOOKUP) {
        if (rc == 0 && has_answer(call) && file->asking->task.rc == 0)
            row_promise(file->asking, call->caller, false);
        return;
    }
    if (rc == 0 && call->kind == CALL_GETATTR)
        promise_shown(call);
    promise_keep(&file->shown, call->caller);
}

/* ---- attributes ---- */

static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    const struct row_node *file = of(node);
    if (!file->shows)
        return;
    uint64_t parts[] = {mount->system_id, mount->database, file->relation,
                        hash64(node->name, strlen(node->name)), file->contents};
    uint64_t ino = hash64(parts, sizeof parts);
    st->st_ino = ino > 1 ? ino : 2;
    st->st_size = (off_t)file->size;
    st->st_atime = st->st_mtime = st->st_ctime = (time_t)file->since;
}

/* The kernel forgets a file that failed, so its reason is kept with rows/. */
static void reason(struct mount *mount, struct node *node, char *text, size_t size)
{
    const struct node *above = node->parent;
    const char *kept = above->class->kept_reason(above, of(node)->path);
    (void)mount;
    snprintf(text, size, "%s", kept != NULL ? kept : "");
}

/* ---- open files ---- */

static void let_go(struct mount *mount, void *row)
{
    (void)mount;
    row_unref(row);
}

/* Keeps a reference while the reply is sent: the file may be closed before the call that sends it
 * returns. */
static int read_row(struct handle *handle, uint64_t offset, size_t size, struct read_source *out)
{
    struct row *row = row_ref(of(handle->node)->row);
    (void)offset, (void)size;
    out->text = &row->bytes;
    out->let_go = let_go;
    out->owner = row;
    return 0;
}

static void close_row(struct mount *mount, struct handle *handle)
{
    struct row_node *file = of(handle->node);
    (void)mount;
    /* An answer to an older look-up may still be under way, and may tell size 0 to a kernel that has
     * forgotten the real size. */
    if (file->node.opens == 0) {
        file->node.told = false;
        row_close(file->row);
    }
    handle_free(handle);
}

static void free_handle(void *handle) { handle_free(handle); }

static const struct handle_class row_handle = {.read = read_row, .close = close_row};

static int open_row(struct mount *mount, struct call *call, struct handle **out)
{
    struct row_node *file = of(call->node);
    struct error error = {""};
    struct handle *handle;
    int rc = handle_new(mount, call->node, &row_handle, sizeof *handle, free_handle, &handle);
    if (rc < 0)
        return rc;
    if (file->node.opens == 0)
        rc = row_open(file->row, &error);
    if (rc < 0) {
        handle_free(handle);
        node_keep_reason(&file->node, file->path, error.text);
        return rc;
    }
    struct row *promised = row_promised(mount, file->path, call->caller);
    if (promised != NULL)
        promise_keep(&promised->promises, call->caller); /* it was for one open */
    *out = handle;
    return 0;
}

static bool size_news(const struct node *node, const struct handle *handle, struct size_news *out)
{
    const struct buffer *bytes = &of(node)->row->bytes;
    (void)handle;
    *out = (struct size_news){.size = bytes->size,
                              .last = bytes->size > 0 ? bytes->data[bytes->size - 1] : 0};
    return !node->told && bytes->size > 0;
}

static const struct node_class row_file = {.mode = S_IFREG | 0444,
                                           .flags = CLASS_UNBOUNDED,
                                           .size = sizeof(struct row_node),
                                           .clear = clear,
                                           .ready = ready,
                                           .attributes = attributes,
                                           .settled = settled,
                                           .rest = rest,
                                           .interrupted = interrupted,
                                           .overdue = call_looks_no_longer,
                                           .reason = reason,
                                           .open = open_row,
                                           .size_news = size_news};
