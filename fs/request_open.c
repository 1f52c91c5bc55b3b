#include "fs/request_parts.h"

#include "fs/base/log.h"
#include "fs/kernel_size.h"
#include "fs/tables/job.h"
#include "fs/tree/ask.h"
#include "fs/tree/query_session.h"
#include "fs/tree/shown.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>

static bool is_waited_for(const struct mount *mount, const struct subject *subject)
{
    for (const struct request *at = mount->tree->parked; at != NULL; at = at->next)
        if (at->node->subject == subject)
            return true;
    return subject->waiting.first != NULL; /* a conversation */
}

/* Of a file of which no size is known: the kernel must not cache by it. Which version it is of, the
 * refresh will say. Until then others get another node. */
static void open_stream(struct request *request, struct handle *handle)
{
    struct node *node = request->node;
    struct subject *subject = node->subject;
    handle->stream = request->stream;
    request->stream = NULL;
    node->direct = true;
    node->read_by = request->caller;
    handle->same = node->version != NULL;
    if (node->version == NULL)
        subject_bind_later(subject, node->nodeid, stream_feed(handle->stream));
    else
        node->version->opens++;
    node->streams++;
    subject->streams++;
    subject->table->mount->tree->streams++;
}

static void free_handle(void *whole)
{
    struct handle *handle = whole;
    opened_unlist(&handle->opened);
    stream_unref(handle->stream);
    free(handle);
}

void request_close(struct mount *mount, struct node *node, const struct fuse_file_info *file)
{
    struct handle *handle = (struct handle *)(uintptr_t)file->fh;
    struct subject *subject = node->subject;
    node->opens--;
    /* An answer to a look-up that is older may still be under way, and say 0 to a kernel that has
     * forgotten the rest. */
    if (node->opens == 0 && (node->kind == NODE_FILE || node->kind == NODE_ANSWER))
        node->told = false;
    if (node->opens == 0 && node->kind == NODE_ANSWER)
        result_close(node->result);
    if (node->kind == NODE_ASK)
        ask_close((struct ask *)(uintptr_t)file->fh);
    if (node->kind == NODE_FILE) {
        subject->opens--;
        if (handle->stream != NULL) {
            if (--node->streams == 0) {
                subject_bind_never(subject, node->nodeid);
                node->streamed = false;
            }
            subject->streams--;
            mount->tree->streams--;
            /* Nobody needs the rest. */
            if (subject->running && subject->streams == 0 && !is_waited_for(mount, subject))
                job_stop(subject);
        }
        if (node->version != NULL)
            node->version->opens--;
        if (handle->extends && node->version != NULL)
            subject_stay(subject, handle->caller, node->version);
        *handle->at = handle->next;
        if (handle->next != NULL)
            handle->next->at = handle->at;
        free_handle(handle);
    }
    shown_rest(node);
    node_forget(mount, node->nodeid, 0);
}

/* The kernel takes a file that is opened and cut for empty, whoever else has it open. Only who has
 * looked up the name before the other opened it can come here: looked up again it is another node.
 */
static int open_value(struct node *node, int flags, struct draft **out)
{
    if ((flags & O_TRUNC) && draft_is_read(node))
        return -ESTALE;
    int rc = draft_new(node, flags, out);
    if (rc == 0)
        draft_enlist(*out, node);
    return rc;
}

/* Of an answer, which takes memory as long as it is open. */
static int open_answer(struct node *node)
{
    struct error error = {""};
    int rc = node->opens == 0 ? result_open(node->result, &error) : 0;
    if (rc < 0 && (node->session == NULL || (node->session->owner.mode & S_IROTH)))
        node_keep_reason(node, error.text);
    if (rc < 0 && node->session != NULL)
        query_session_answered(node->session, rc, &error);
    return rc;
}

/* What the open file is, by its node's kind. */
static int make_handle(struct mount *mount, const struct request *request, void **out)
{
    struct node *node = request->node;
    if (node->kind == NODE_ASK)
        return ask_new(mount, node, (struct ask **)out);
    if (node->kind == NODE_VALUE)
        return open_value(node, request->file.flags, (struct draft **)out);
    *out = NULL;
    if (node->kind == NODE_ANSWER)
        return open_answer(node);
    struct handle *handle = node->kind == NODE_FILE ? calloc(1, sizeof *handle) : NULL;
    if (handle != NULL)
        opened_list(mount, &handle->opened, free_handle, handle);
    *out = handle;
    return node->kind == NODE_FILE && handle == NULL ? -ENOMEM : 0;
}

/* It counts as open from here on, and keeps what it shows. */
static int open_file(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    struct fuse_file_info *file = &request->file;
    void *made;
    int rc = make_handle(mount, request, &made);
    if (rc < 0)
        return rc;
    struct handle *handle = made;
    if (node->kind == NODE_ANSWER) /* it was for one open */
        result_take_back(node->result, request->caller);
    file->fh = (uintptr_t)made;
    file->keep_cache = 1; /* the bytes of a node never change */
    file->noflush = node->kind != NODE_VALUE;
    if (node->kind == NODE_VALUE) {
        file->keep_cache = 0;
        file->direct_io = 1;
    }
    node->opens++;
    node->lookups++; /* stays until it has been replied */
    if (node->kind == NODE_TEXT)
        promise_keep(&node->promises, request->caller);
    if (node->kind == NODE_FILE) {
        handle->caller = request->caller;
        handle->next = node->handles;
        handle->at = &node->handles;
        if (handle->next != NULL)
            handle->next->at = &handle->next;
        node->handles = handle;
        node->subject->opens++;
        if (request->stream != NULL)
            open_stream(request, handle);
        else
            node->version->opens++;
        file->direct_io = node->direct;
        if (node->version != NULL && node->version == node->subject->current)
            handle->extends = subject_open(node->subject, node->face);
        promise_keep(&node->subject->promises, request->caller);
    }
    return 0;
}

/* libfuse has no word for files without a position: with one, it would pass the size that stat
 * says, and then splice would not ask for an answer. */
static int reply_conversation(const struct request *request)
{
    const struct fuse_open_out out = {.fh = request->file.fh,
                                      .open_flags = FOPEN_DIRECT_IO | FOPEN_STREAM |
                                                    FOPEN_NONSEEKABLE | FOPEN_NOFLUSH};
    return fuse_reply_buf(request->req, (const char *)&out, sizeof out);
}

/* `rc`: the kernel could not be told the size. Takes the request. */
static void reply(struct mount *mount, struct request *request, int rc)
{
    struct node *node = request->node;
    bool opened = false;
    if (rc < 0) {
        log_say(LOG_SAY_ERROR, "%s cannot be opened: the kernel does not take its size: %s",
                node->name, strerror(-rc));
        fuse_reply_err(request->req, rc == -ENOMEM ? ENOMEM : EIO);
    } else {
        rc = node->kind == NODE_ASK ? reply_conversation(request)
                                    : fuse_reply_open(request->req, &request->file);
        opened = rc != -ENOENT; /* else it was interrupted, and no RELEASE comes */
    }
    if (!opened && node->kind == NODE_VALUE)
        draft_drop((struct draft *)(uintptr_t)request->file.fh);
    if (!opened)
        request_close(mount, node, &request->file);
    node_forget(mount, node->nodeid, 1);
    request_free(request);
}

/* ---- the size that splice goes by ---- */

static const struct buffer *text_of(const struct node *node)
{
    return node->kind == NODE_ANSWER ? &node->result->bytes : &node->version->text[node->face];
}

/* What the kernel must be told before it may have the open file; false: nothing. Attributes that
 * were answered do not count: nobody knows whether the kernel has taken them yet. */
static bool has_news(struct request *request)
{
    const struct node *node = request->node;
    struct size_news *news = &request->news;
    *news = (struct size_news){.raise = true};
    if (node->kind == NODE_VALUE) { /* of which an older size is known */
        if ((request->file.flags & O_ACCMODE) != O_WRONLY)
            news->size = draft_size((struct draft *)(uintptr_t)request->file.fh);
        return news->size > 0;
    }
    if (node->told || (node->kind != NODE_FILE && node->kind != NODE_ANSWER))
        return false;
    if (node->direct) {
        news->size = kernel_size_far;
        return true;
    }
    news->raise = false;
    if (node->kind == NODE_FILE && node->face < FORMAT_COUNT) {
        news->size = node->version->size[node->face];
        news->last = formats[node->face]->last;
    } else {
        const struct buffer *text = text_of(node);
        news->size = text->size;
        news->last = text->size > 0 ? text->data[text->size - 1] : 0;
    }
    return news->size > 0;
}

/* Without the lock: the kernel may have to make room for the page. */
static void tell(void *argument)
{
    struct request *request = argument;
    struct mount *mount = fuse_req_userdata(request->req);
    struct node *node = request->node; /* it is open */
    const struct size_news *news = &request->news;
    int rc = news->raise ? kernel_size_raise(mount->session, node->nodeid, news->size)
                         : kernel_size_tell(mount->session, node->nodeid, news->size, news->last);
    pthread_mutex_lock(&mount->lock);
    node->telling = false;
    node->told = rc == 0;
    request_retry_node(mount, node);
    reply(mount, request, rc);
    pthread_mutex_unlock(&mount->lock);
}

void request_open(struct mount *mount, struct request *request)
{
    int rc = open_file(mount, request);
    if (rc < 0) {
        stream_unref(request->stream);
        fuse_reply_err(request->req, -rc);
        shown_rest(request->node);
        request_free(request);
        return;
    }
    struct node *node = request->node;
    if (!has_news(request)) {
        reply(mount, request, 0);
        return;
    }
    node->telling = true;
    if (!request->parked) {
        pthread_mutex_unlock(&mount->lock);
        tell(request);
        pthread_mutex_lock(&mount->lock);
    } else if (workers_add(mount->renderers, tell, request, 1) < 0) {
        node->telling = false;
        reply(mount, request, -ENOMEM);
    }
}
