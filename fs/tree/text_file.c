#include "fs/tree/text_file.h"

#include "codec/clock.h"
#include "fs/tree/call.h"

#include <string.h>

enum { KEPT_MS = 100 };

struct text_node {
    struct node node;
    struct buffer text;
    int64_t made_ms;          /* clock_ms() when it was made */
    time_t made_at;           /* the same by the calendar */
    struct promises promises; /* to callers that have looked it up, and may be about to open it */
};

static struct text_node *of(const struct node *node) { return (struct text_node *)node; }

static void clear(struct node *node)
{
    buffer_clear(&of(node)->text);
    promises_clear(&of(node)->promises);
}

int text_file_new(struct mount *mount, struct node *parent, const char *name, struct buffer *text,
                  struct node **out)
{
    int rc = node_new(mount, parent, &text_file, name, out);
    if (rc < 0) {
        buffer_clear(text);
        return rc;
    }
    struct text_node *node = of(*out);
    node->text = *text;
    *text = (struct buffer){0};
    node->made_ms = clock_ms();
    node->made_at = time(NULL);
    node->node.told = true;
    node->node.ino += node->node.nodeid; /* each node is another file */
    return 0;
}

void text_file_date(struct node *node, time_t when)
{
    of(node)->made_at = when;
    node->ino = node_path(node->parent, node->name);
}

void text_file_promise(struct node *node, caller_id caller)
{
    promise_tell(&of(node)->promises, caller, NULL);
}

static void sweep(struct mount *mount, struct node *parent)
{
    struct node *file = parent->files;
    while (file != NULL) {
        uint64_t nodeid = file->nodeid;
        file = file->next_file;
        node_forget(mount, nodeid, 0);
    }
}

/* The node that was promised to this process, else the newest. */
static struct node *recent(const struct node *parent, const char *name, caller_id caller)
{
    int64_t now = clock_ms();
    struct node *newest = NULL;
    for (struct node *file = parent->files; file != NULL; file = file->next_file) {
        if (strcmp(file->name, name) != 0)
            continue;
        if (promise_find(&of(file)->promises, caller) != NULL)
            return file;
        if (newest == NULL && now - of(file)->made_ms < KEPT_MS)
            newest = file;
    }
    return newest;
}

struct node *text_file_recent(struct mount *mount, struct node *parent, const char *name,
                              caller_id caller)
{
    sweep(mount, parent);
    struct node *file = recent(parent, name, caller);
    if (file != NULL)
        promise_repeat(&of(file)->promises, caller, NULL);
    return file;
}

/* Whether the node is promised to a process. The kernel forgets it as soon as another process was
 * given another node: it must stay for the process that it was promised to. */
static bool is_promised(const struct mount *mount, struct node *node)
{
    (void)mount;
    promises_expire(&of(node)->promises);
    return of(node)->promises.count > 0;
}

static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    (void)mount;
    st->st_size = (off_t)of(node)->text.size;
    st->st_atime = st->st_mtime = st->st_ctime = of(node)->made_at;
}

/* ---- open ---- */

/* Copies the bytes: the kernel may close the file before it has taken them, once it knows that they
 * come. */
static int copy_slice(struct handle *handle, uint64_t offset, size_t size, struct read_source *out)
{
    const struct buffer *text = &of(handle->node)->text;
    size_t left = offset < text->size ? text->size - (size_t)offset : 0,
           n = size < left ? size : left;
    out->copied = true;
    return n > 0 ? buffer_append(&out->bytes, text->data + offset, n) : 0;
}

static void close_handle(struct mount *mount, struct handle *handle)
{
    (void)mount;
    handle_free(handle);
}

static void free_handle(void *handle) { handle_free(handle); }

static const struct handle_class text_handle = {.read = copy_slice, .close = close_handle};

static int open_text(struct mount *mount, struct call *call, struct handle **out)
{
    int rc = handle_new(mount, call->node, &text_handle, sizeof **out, free_handle, out);
    if (rc == 0)
        promise_keep(&of(call->node)->promises, call->caller);
    return rc;
}

const struct node_class text_file = {
    .mode = S_IFREG | 0444,
    .size = sizeof(struct text_node),
    .clear = clear,
    .stays = is_promised,
    .attributes = attributes,
    .open = open_text,
};
