#include "fs/read.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "fs/views/follow.h"
#include "fs/views/stream.h"
#include "fs/views/view.h"

#include <errno.h>
#include <stdlib.h>

struct read {
    fuse_req_t req;
    struct mount *mount;
    struct version *version; /* NULL: it reads a stream */
    struct stream *stream;
    struct subject *subject;
    struct view view; /* of the version */
    pid_t thread;
    uint64_t nodeid, offset, size;
    /* For a READ that may have to wait; guarded by mount->lock, except for the flags: */
    struct read *next, **at; /* the list is mount->tree->reads */
    bool answered;
    _Atomic int64_t interrupted; /* clock_ms(); 0: it was not */
    atomic_bool stop;
};

/* ---- answers ---- */

static void fail(const struct read *read, int rc, const struct error *error)
{
    const struct relation *relation = &read->subject->table->relation;
    pthread_mutex_lock(&read->mount->lock);
    read->subject->error = *error;
    log_say(LOG_SAY_ERROR, "%s.%s: read at %llu: %s", relation->schema, relation->name,
            (unsigned long long)read->offset, error->text[0] != '\0' ? error->text : strerror(-rc));
    pthread_mutex_unlock(&read->mount->lock);
    fuse_reply_err(read->req, rc == -ENOMEM || rc == -EBUSY ? -rc : EIO);
}

static void count(const struct read *read, size_t bytes)
{
    read->mount->count.reads++;
    read->mount->count.bytes_read += bytes;
}

/* ---- READs that wait ---- */

static void on_interrupt(fuse_req_t req, void *data)
{
    struct read *read = data;
    (void)req;
    read->interrupted = clock_ms();
}

/* From now on the READ is answered when its reader is killed, or the mount ends, whatever its
 * thread waits for. False: the mount is ending. */
static bool begin_waiting(struct read *read)
{
    struct mount *mount = read->mount;
    fuse_req_interrupt_func(read->req, on_interrupt, read);
    pthread_mutex_lock(&mount->lock);
    bool ends = mount->ending;
    if (!ends) {
        read->next = mount->tree->reads;
        read->at = &mount->tree->reads;
        if (read->next != NULL)
            read->next->at = &read->next;
        mount->tree->reads = read;
    }
    pthread_mutex_unlock(&mount->lock);
    if (ends)
        fuse_req_interrupt_func(read->req, NULL, NULL); /* waits out a callback under way */
    return !ends;
}

/* Whether the READ must still be answered. */
static bool end_waiting(struct read *read)
{
    struct mount *mount = read->mount;
    pthread_mutex_lock(&mount->lock);
    *read->at = read->next;
    if (read->next != NULL)
        read->next->at = read->at;
    bool mine = !read->answered;
    pthread_mutex_unlock(&mount->lock);
    if (mine)
        fuse_req_interrupt_func(read->req, NULL, NULL);
    return mine;
}

/* Answers in place of the READ's thread, which sees that, and ends later. */
static void answer_early(struct read *read, int error)
{
    read->answered = true;
    read->stop = true;
    fuse_req_interrupt_func(read->req, NULL, NULL);
    fuse_reply_err(read->req, error);
}

void read_tend(struct mount *mount, bool (*visit)(void *context, pid_t thread, int64_t interrupted),
               void *context)
{
    for (struct read *read = mount->tree->reads; read != NULL; read = read->next)
        if (!read->answered && read->interrupted != 0 &&
            visit(context, read->thread, read->interrupted)) {
            mount->count.interrupted++;
            answer_early(read, EINTR);
        }
}

void read_fail_all(struct mount *mount)
{
    for (struct read *read = mount->tree->reads; read != NULL; read = read->next)
        if (!read->answered)
            answer_early(read, EIO);
}

/* ---- of a version ---- */

static int get_bytes(const struct read *read, bool render, struct view_bytes *bytes,
                     struct error *error)
{
    return view_read(read->mount->bodies, &read->view, read->offset, read->size, render, bytes,
                     error);
}

static void reply_bytes(const struct read *read, const struct view_bytes *bytes)
{
    count(read, bytes->size);
    fuse_reply_iov(read->req, bytes->pieces, bytes->count);
    follow_read(read->mount->follow, read->nodeid, &read->view, read->offset, bytes->size);
}

static int try_version(const struct read *read, bool render, struct error *error)
{
    struct view_bytes bytes = {0};
    int rc = get_bytes(read, render, &bytes, error);
    if (rc == 0)
        reply_bytes(read, &bytes);
    view_bytes_clear(read->mount->bodies, &bytes);
    return rc;
}

static void end_version(struct read *read, bool mine, int rc, const struct error *error)
{
    if (mine && rc < 0)
        fail(read, rc, error);
    pthread_mutex_lock(&read->mount->lock);
    version_unref(read->version);
    pthread_mutex_unlock(&read->mount->lock);
    free(read);
}

/* Answers a READ that needs rows which the cache has lost. */
static void fetch_version(void *argument)
{
    struct read *read = argument;
    struct view_bytes bytes = {0};
    struct error error = {""};
    struct patience patience = {.waits = true, .stop = &read->stop};
    patience_begin(&patience);
    int rc = get_bytes(read, true, &bytes, &error);
    patience_end(&patience);
    bool mine = end_waiting(read);
    if (mine && rc == 0)
        reply_bytes(read, &bytes);
    view_bytes_clear(read->mount->bodies, &bytes);
    end_version(read, mine, rc, &error);
}

static void run_version(void *argument)
{
    struct read *read = argument;
    struct error error = {""};
    struct patience none = {.waits = false};
    patience_begin(&none);
    int rc = try_version(read, true, &error);
    patience_end(&none);
    if (none.refused && begin_waiting(read)) {
        rc = waiters_add(read->mount->waiters, fetch_version, read);
        if (rc == 0)
            return;
        error_set(&error, rc, "no memory to read with");
        end_version(read, end_waiting(read), rc, &error);
        return;
    }
    end_version(read, true, rc, &error);
}

/* Answers at once from what is rendered already, else lets a rendering thread answer. */
static void read_version(const struct read *now)
{
    struct error error = {""};
    int rc = try_version(now, false, &error);
    struct read *later = rc == -EAGAIN ? malloc(sizeof *later) : NULL;
    if (later != NULL) {
        *later = *now;
        if (workers_add(now->mount->renderers, run_version, later, 1) == 0)
            return;
        free(later);
    }
    if (rc < 0)
        fail(now, rc == -EAGAIN ? -ENOMEM : rc, &error);
    version_unref(now->version);
}

/* ---- of a stream ---- */

static bool give_up(void *context)
{
    const struct read *read = context;
    return read->stop;
}

static void run_stream(void *argument)
{
    struct read *read = argument;
    struct buffer bytes = {0};
    struct error error = {""};
    struct patience patience = {.waits = true, .stop = &read->stop};
    patience_begin(&patience);
    int rc = stream_read(read->stream, read->offset, read->size, give_up, read, &bytes, &error);
    patience_end(&patience);
    bool mine = end_waiting(read);
    if (mine && rc == 0) {
        count(read, bytes.size);
        fuse_reply_buf(read->req, (const char *)bytes.data, bytes.size);
    } else if (mine) {
        fail(read, rc, &error);
    }
    buffer_clear(&bytes);
    stream_unref(read->stream);
    free(read);
}

static void read_stream(const struct read *now)
{
    struct read *later = malloc(sizeof *later);
    int rc = ENOMEM;
    if (later != NULL) {
        *later = *now;
        rc = EIO;
        if (begin_waiting(later)) {
            if (waiters_add(now->mount->waiters, run_stream, later) == 0)
                return;
            rc = end_waiting(later) ? ENOMEM : 0;
        }
        free(later);
    }
    stream_unref(now->stream);
    if (rc != 0)
        fuse_reply_err(now->req, rc);
}

/* ---- of a text ---- */

static void reply_text(const struct read *read, const struct read_source *source)
{
    const struct buffer *text = source->text;
    size_t left = read->offset < text->size ? text->size - (size_t)read->offset : 0;
    size_t n = read->size < left ? read->size : left;
    count(read, n);
    fuse_reply_buf(read->req, n > 0 ? (const char *)text->data + read->offset : NULL, n);
    pthread_mutex_lock(&read->mount->lock);
    source->let_go(read->mount, source->owner);
    pthread_mutex_unlock(&read->mount->lock);
}

static void reply_copy(fuse_req_t req, struct buffer *bytes, int rc)
{
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else
        fuse_reply_buf(req, bytes->size > 0 ? (const char *)bytes->data : NULL, bytes->size);
    buffer_clear(bytes);
}

/* ---- all ---- */

bool read_is_misled(struct mount *mount, const struct handle *handle, off_t offset,
                    const struct fuse_file_info *file)
{
    const struct node *node = handle->node;
    if (file->lock_owner != 0 || node->class->misleads == NULL)
        return false;
    pthread_mutex_lock(&mount->lock);
    bool misled = node->class->misleads(node, (uint64_t)offset);
    pthread_mutex_unlock(&mount->lock);
    return misled;
}

void read_start(struct mount *mount, fuse_req_t req, struct handle *handle, size_t size,
                off_t offset)
{
    const struct handle_class *class = handle->class;
    struct read_source source = {0};
    struct read read = {.req = req,
                        .mount = mount,
                        .thread = fuse_req_ctx(req)->pid,
                        .nodeid = handle->node->nodeid,
                        .offset = (uint64_t)offset,
                        .size = size};
    pthread_mutex_lock(&mount->lock);
    int rc = class->read != NULL ? class->read(handle, read.offset, size, &source) : 0;
    pthread_mutex_unlock(&mount->lock);
    read.subject = source.subject;
    read.view = source.view;
    read.stream = source.stream;
    read.version = source.version;
    if (class->read == NULL)
        rc = class->copy(handle, read.offset, size, &source.bytes);
    if (rc < 0 || class->read == NULL || source.copied)
        reply_copy(req, &source.bytes, rc);
    else if (source.stream != NULL)
        read_stream(&read);
    else if (source.version != NULL)
        read_version(&read);
    else
        reply_text(&read, &source);
}
