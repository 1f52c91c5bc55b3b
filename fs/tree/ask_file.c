#include "fs/tree/ask_file.h"

#include "fs/tree/ask.h"
#include "fs/tree/call.h"

/* The size that stat shows, as for files in /sys: not 0, or splice would not ask for an answer. */
enum { SIZE = 4096 };

static const struct node_class ask_class;

/* Each conversation has a node of its own: a process that opens the name anew, to write and
 * truncate, makes the kernel forget the size of the node that it opens. */
int ask_file_look_up(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct node *file = lookup->parent->files;
    while (file != NULL && (file->class != &ask_class || file->opens > 0))
        file = file->next_file;
    if (file == NULL)
        return node_new(mount, lookup->parent, &ask_class, lookup->name, out);
    *out = file;
    return 0;
}

static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    (void)node;
    st->st_mode = S_IFREG | (mount->options->allow_other ? 0666 : 0644);
    st->st_size = SIZE;
}

static bool misleads(const struct node *node, uint64_t offset)
{
    (void)node, (void)offset;
    return true;
}

/* ---- an open conversation ---- */

struct ask_handle {
    struct handle handle;
    struct ask *ask;
};

static struct ask *of(struct handle *handle) { return ((struct ask_handle *)handle)->ask; }

static void run(void *ask) { ask_work(ask); }

static int run_later(void *ask) { return ask_work_later(ask); }

/* The writer goes on to its read while the question is answered. */
static int write_question(struct handle *handle, const char *bytes, size_t size, uint64_t offset,
                          struct after *after)
{
    bool work;
    (void)offset;
    int rc = ask_write(of(handle), bytes, size, &work);
    if (work)
        *after = (struct after){.run = run, .later = run_later, .argument = of(handle)};
    return rc;
}

static int answer(struct call *call)
{
    int rc = ask_read(of(call->handle), call->size, &call->bytes);
    if (rc == -EAGAIN)
        call->on = ask_waiting(of(call->handle));
    return rc;
}

static void interrupted(struct call *call) { ask_interrupted(of(call->handle)); }

static void close_ask(struct mount *mount, struct handle *handle)
{
    (void)mount;
    ask_close(of(handle));
    handle_free(handle);
}

static void free_handle(void *handle) { close_ask(NULL, handle); }

static const struct handle_class ask_handle_class = {
    .answer = answer, .interrupted = interrupted, .write = write_question, .close = close_ask};

static int open_ask(struct mount *mount, struct call *call, struct handle **out)
{
    struct handle *handle;
    int rc = handle_new(mount, call->node, &ask_handle_class, sizeof(struct ask_handle),
                        free_handle, &handle);
    if (rc < 0)
        return rc;
    rc = ask_new(mount, call->node, &((struct ask_handle *)handle)->ask);
    if (rc < 0) {
        handle_free(handle);
        return rc;
    }
    handle->flags = HANDLE_DIRECT | HANDLE_NO_POSITION;
    *out = handle;
    return 0;
}

static const struct node_class ask_class = {
    .mode = S_IFREG | 0644,
    .flags = CLASS_WRITTEN,
    .size = sizeof(struct node),
    .attributes = attributes,
    .open = open_ask,
    .misleads = misleads,
};
