#include "fs/request_parts.h"

#include "fs/base/log.h"
#include "fs/kernel_size.h"
#include "fs/views/stream.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

static struct handle *handle_of(const struct request *request)
{
    return (struct handle *)(uintptr_t)request->file.fh;
}

/* The file counts as open from here on, and keeps what it shows. */
static int open_file(struct mount *mount, struct request *request)
{
    struct node *node = request->call.node;
    struct fuse_file_info *file = &request->file;
    struct handle *handle;
    int rc = node->class->open(mount, &request->call, &handle);
    if (rc < 0)
        return rc;
    file->fh = (uintptr_t)handle;
    file->keep_cache = !(handle->flags & HANDLE_FORGETS);
    file->direct_io = (handle->flags & HANDLE_DIRECT) != 0;
    file->noflush = !(handle->flags & HANDLE_FLUSHES);
    node->opens++;
    node->lookups++; /* the node stays until the reply is sent */
    return 0;
}

/* libfuse has no flag for files without a position. With a position the kernel would go by the size
 * that stat says, and then splice would not ask for an answer. */
static int reply_without_position(const struct request *request)
{
    const struct fuse_open_out out = {.fh = request->file.fh,
                                      .open_flags = FOPEN_DIRECT_IO | FOPEN_STREAM |
                                                    FOPEN_NONSEEKABLE | FOPEN_NOFLUSH};
    return fuse_reply_buf(request->req, (const char *)&out, sizeof out);
}

/* `rc` negative: the kernel could not be told the size. Takes the request. */
static void reply(struct mount *mount, struct request *request, int rc)
{
    struct node *node = request->call.node;
    struct handle *handle = handle_of(request);
    bool opened = false;
    if (rc < 0) {
        log_say(LOG_SAY_ERROR, "%s cannot be opened: the kernel does not take its size: %s",
                node->name, strerror(-rc));
        fuse_reply_err(request->req, rc == -ENOMEM ? ENOMEM : EIO);
    } else {
        rc = handle->flags & HANDLE_NO_POSITION ? reply_without_position(request)
                                                : fuse_reply_open(request->req, &request->file);
        opened = rc != -ENOENT; /* else the request was interrupted, and no RELEASE comes */
    }
    if (!opened)
        handle_close(mount, handle);
    node_forget(mount, node->nodeid, 1);
    request_free(request);
}

/* Finds what the kernel must be told before it may have the open file; false: nothing. Attributes
 * that were answered do not count, since the kernel may not have taken them yet. */
static bool has_news(struct request *request)
{
    const struct node *node = request->call.node;
    struct size_news *news = &request->news;
    *news = (struct size_news){0};
    if (node->class->size_news == NULL || !node->class->size_news(node, handle_of(request), news))
        return false;
    if (news->endless)
        *news = (struct size_news){.size = kernel_size_far, .raise = true};
    return true;
}

/* Called without the lock: the kernel may have to make room for the page. */
static void tell(void *argument)
{
    struct request *request = argument;
    struct mount *mount = request->call.mount;
    struct node *node = request->call.node; /* it is open, so it stays */
    const struct size_news *news = &request->news;
    int rc = news->raise ? kernel_size_raise(&mount->kernel, node->nodeid, news->size)
                         : kernel_size_tell(&mount->kernel, node->nodeid, news->size, news->last);
    pthread_mutex_lock(&mount->lock);
    node->telling = false;
    node->told = rc == 0;
    call_retry_node(mount, node);
    reply(mount, request, rc);
    pthread_mutex_unlock(&mount->lock);
}

void request_open(struct mount *mount, struct request *request)
{
    struct node *node = request->call.node;
    int rc = open_file(mount, request);
    if (rc < 0) {
        stream_unref(request->call.stream);
        fuse_reply_err(request->req, -rc);
        if (node->class->rest != NULL)
            node->class->rest(node);
        request_free(request);
        return;
    }
    if (!has_news(request)) {
        reply(mount, request, 0);
        return;
    }
    node->telling = true;
    if (!request->call.parked) {
        pthread_mutex_unlock(&mount->lock);
        tell(request);
        pthread_mutex_lock(&mount->lock);
    } else if (workers_add(mount->renderers, tell, request, 1) < 0) {
        node->telling = false;
        reply(mount, request, -ENOMEM);
    }
}
