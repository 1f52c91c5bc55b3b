#include "fs/tree/handle.h"

#include <errno.h>
#include <stdlib.h>

int handle_new(struct mount *mount, struct node *node, const struct handle_class *class,
               size_t size, void (*free)(void *handle), struct handle **out)
{
    struct handle *handle = calloc(1, size);
    if (handle == NULL)
        return -ENOMEM;
    handle->class = class;
    handle->node = node;
    opened_list(mount, &handle->opened, free, handle);
    *out = handle;
    return 0;
}

void handle_free(struct handle *handle)
{
    opened_unlist(&handle->opened);
    free(handle);
}

void handle_close(struct mount *mount, struct handle *handle)
{
    struct node *node = handle->node;
    node->opens--;
    handle->class->close(mount, handle);
    if (node->class->rest != NULL)
        node->class->rest(node);
    node_forget(mount, node->nodeid, 0);
}

bool after_may_run(struct mount *mount)
{
    /* Half of libfuse's threads: the others must go on reading requests, above all interrupts. */
    enum { AT_ONCE = 8 };
    if (mount->options->single)
        return false;
    if (atomic_fetch_add(&mount->answering, 1) < AT_ONCE)
        return true;
    after_done(mount);
    return false;
}

void after_done(struct mount *mount) { atomic_fetch_sub(&mount->answering, 1); }
