#include "fs/request.h"

#include "fs/job.h"
#include "fs/listing.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DIRECTORY_FRESH_MS = 1000, /* a directory that was there so lately is taken to be there */
    STREAM_AFTER_MS = 400      /* an open that has waited so long reads along */
};

struct request {
    struct request *next;
    fuse_req_t req;
    struct node *node;
    enum request_kind kind;
    struct fuse_file_info file;
    int pid;
    atomic_bool interrupted; /* set by libfuse's thread; all else is guarded by mount->lock */
    int64_t arrived;
    bool hooked; /* told of interrupts */
    bool waited; /* for a refresh, since this count of them: */
    unsigned refreshes_seen, failures_seen;
    const struct subject *counted; /* whose counts these are */
    bool listing_asked;
    unsigned listing_failures_seen;
    struct stream *stream; /* of an open that need not wait for the size */
    bool looked_again;     /* the relation was gone once: its name may stand for a new one */
};

/* ---- what it waits for: each returns 0 to go on, -EAGAIN to wait, or the errno to answer ---- */

/* The catalog must have been looked at since `since`. */
static int need_listing(struct mount *mount, struct request *request, int64_t since)
{
    if (mount->catalog_checked >= since)
        return 0;
    if (!request->listing_asked) {
        request->listing_asked = true;
        request->listing_failures_seen = mount->catalog_failures;
    } else if (request->listing_failures_seen != mount->catalog_failures) {
        return mount->catalog_rc;
    }
    if (!mount->catalog_running || !mount->catalog_wanted)
        listing_check(mount);
    return -EAGAIN;
}

static int try_directory(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    if (node->kind == NODE_CONTROL)
        return 0;
    bool lists = request->kind == REQUEST_OPENDIR && node->kind != NODE_TABLE;
    if (node->kind == NODE_ROOT && !lists)
        return 0;
    int64_t since = lists || !node_exists(mount, node) ? request->arrived
                                                       : request->arrived - DIRECTORY_FRESH_MS;
    int rc = need_listing(mount, request, since);
    /* While the server is away, what was there can be walked through: to .pgvecfs, to the reason of
     * a failure, to what is open. */
    if (rc < 0 && rc != -EAGAIN && request->kind == REQUEST_GETATTR && node_exists(mount, node))
        return 0;
    if (rc < 0 || node_exists(mount, node))
        return rc;
    node->absent_ms = clock_ms();
    return -ENOENT;
}

static int find_subject(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    const struct relation *relation = node_relation(mount, node->parent);
    if (relation == NULL || request->looked_again) {
        int rc = need_listing(mount, request, request->arrived);
        if (rc < 0)
            return rc;
        relation = node_relation(mount, node->parent);
    }
    if (relation == NULL)
        return -ENOENT;
    struct table *table = table_get(mount, relation);
    if (table == NULL)
        return -ENOMEM;
    node->subject = table_subject(table, node->face);
    return 0;
}

/* The relation behind the name has gone: once more, from its name. */
static int look_again(struct mount *mount, struct request *request)
{
    if (request->looked_again)
        return -ENOENT;
    if (request->node->version != NULL)
        return request->node->opens > 0
                   ? -ENOENT
                   : -ESTALE; /* this node stays what it was: the kernel looks its name up again */
    request->looked_again = true;
    request->listing_asked = false;
    request->arrived = clock_ms();
    request->counted = NULL;
    request->waited = false;
    request->node->subject = NULL;
    listing_doubt(mount);
    return find_subject(mount, request);
}

/* ---- reading along: an open need not wait for the size ---- */

static bool may_read_along(const struct request *request)
{
    return request->kind == REQUEST_OPEN && request->node->face < FORMAT_COUNT &&
           clock_ms() - request->arrived >= STREAM_AFTER_MS &&
           request->node->subject->table->mount->streams < STREAMS_AT_MOST;
}

/* Takes the feed. What cannot be opened so goes on waiting. */
static int read_along(struct request *request, struct feed *feed)
{
    struct mount *mount = request->node->subject->table->mount;
    int rc = stream_new(&mount->place, feed, request->node->face, &request->stream);
    feed_unref(feed);
    return rc < 0 ? -EAGAIN : 0;
}

/* With the refresh under way, if its answer is good enough for this request. */
static int read_along_fetch(struct request *request, struct subject *subject)
{
    const struct mount *mount = subject->table->mount;
    bool fresh = (int)(subject->refreshes + 1 - request->refreshes_seen) > 0;
    if (!may_read_along(request) || !subject->refreshing || subject->fetch == NULL ||
        subject->kind != SUBJECT_ROWS || !(fresh || mount->options->lease_ms > 0))
        return -EAGAIN;
    struct feed *feed = fetch_feed(subject->fetch);
    return feed == NULL ? -EAGAIN : read_along(request, feed);
}

static int read_along_snapshot(struct request *request, const struct version *version)
{
    struct feed *feed;
    if (!may_read_along(request) || version->snapshot == NULL ||
        feed_of_snapshot(version->snapshot, &feed) < 0)
        return -EAGAIN;
    return read_along(request, feed);
}

static int need_refresh(struct request *request, struct subject *subject, enum need need)
{
    if (!request->waited) {
        request->waited = true;
        /* One that is under way may have looked at the server before this request came. */
        request->refreshes_seen = subject->refreshes + subject->refreshing;
    }
    subject_want(subject, true, request->node->face, need);
    if (request->node->version != NULL)
        return -EAGAIN;
    subject_offer(subject, request->node->face, request->node->nodeid);
    return read_along_fetch(request, subject);
}

static int need_face(struct request *request, struct subject *subject, enum need need)
{
    const struct version *version = request->node->version;
    int face = request->node->face;
    if (version->state[face] == FACE_FAILED)
        return version->rc[face];
    if (version->state[face] >= (need == NEED_BYTES ? FACE_READABLE : FACE_SIZED))
        return 0;
    if (version != subject->current)
        return -ESTALE; /* superseded before anybody measured it: the kernel looks its name up again
                         */
    subject_want(subject, false, face, need);
    subject_offer(subject, face, request->node->nodeid);
    return read_along_snapshot(request, version);
}

static int try_file(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    int rc = node->subject == NULL ? find_subject(mount, request) : 0;
    if (rc < 0)
        return rc;
    struct subject *subject = node->subject;
    if (request->counted != subject) {
        request->counted = subject;
        request->failures_seen = subject->failures;
    } else if (request->failures_seen != subject->failures) {
        if (subject->rc != -ENOENT)
            return subject->rc;
        rc = look_again(mount, request);
        return rc < 0 ? rc : try_file(mount, request);
    }
    if (node->spoiled)
        return -ESTALE;
    if (node->filling)
        return node->version != NULL ? read_along_snapshot(request, node->version)
               : request->waited     ? read_along_fetch(request, subject)
                                     : -EAGAIN;
    enum need need = request->kind == REQUEST_OPEN ? NEED_BYTES : NEED_SIZE;
    bool refreshed = request->waited && (int)(subject->refreshes - request->refreshes_seen) > 0;
    const struct promise *promise = subject_promised(subject, request->pid);
    bool promised =
        promise != NULL && promise->version != NULL && promise->version == node->version;
    bool opens = request->kind == REQUEST_OPEN;
    /* It has just been looked up: the kernel looks again where the answer is ESTALE. */
    bool by_path = subject_has_shown(subject, request->pid, node->version);
    bool good = refreshed || subject_leased(subject) || (promised && opens);
    if (node->version == NULL) {
        if (!good || subject->current == NULL)
            return need_refresh(request, subject, need);
        node_bind(node, subject->current);
    } else if (node->version != subject->current) {
        if (node->opens == 0 && (request->waited || (by_path && !opens)))
            return -ESTALE;
        if (opens && by_path && !promised)
            return -ESTALE;
    } else if (!good && node->opens == 0) {
        return need_refresh(request, subject, need);
    } else if (!good && opens && by_path) {
        return -ESTALE; /* somebody has opened it since: ask through another node */
    }
    return need_face(request, subject, need);
}

/* ---- answers ---- */

static void answer_attributes(struct mount *mount, struct request *request)
{
    struct stat st;
    struct node *node = request->node;
    node_attributes(mount, node, &st);
    /* Not for fstat: a process that polls would never see a new version. */
    const struct subject *subject = node->kind == NODE_FILE ? node->subject : NULL;
    if (subject != NULL && (request->waited || node->opens == 0 ||
                            (node->version == subject->current && subject_leased(subject)) ||
                            subject_has_shown(subject, request->pid, node->version)))
        subject_promise(node->subject, request->pid, node->version);
    double timeout = node_is_directory(node) ? 1.0 : 0.0;
    fuse_reply_attr(request->req, &st, timeout);
}

static bool is_waited_for(const struct mount *mount, const struct subject *subject)
{
    for (const struct request *at = mount->parked; at != NULL; at = at->next)
        if (at->node->kind == NODE_FILE && at->node->subject == subject)
            return true;
    return false;
}

/* Of a file of which no size is known: the kernel must not cache by it. Which version it is of, the
 * refresh will say. */
static void open_stream(struct request *request, struct handle *handle)
{
    struct node *node = request->node;
    struct subject *subject = node->subject;
    handle->stream = request->stream;
    request->stream = NULL;
    request->file.direct_io = 1;
    handle->same = node->version != NULL;
    if (node->version == NULL)
        subject_bind_later(subject, node->nodeid, stream_feed(handle->stream));
    else
        node->version->opens++;
    node->streams++;
    subject->streams++;
    subject->table->mount->streams++;
}

static void unref_stream(void *argument) { stream_unref(argument); }

/* The last reference deletes files and may end a transaction: not under the mount's lock. */
static void end_stream(struct mount *mount, struct stream *stream)
{
    if (workers_add(mount->fetchers, unref_stream, stream, 1) < 0)
        stream_unref(stream);
}

void request_close(struct mount *mount, struct node *node, const struct fuse_file_info *file)
{
    struct handle *handle = (struct handle *)(uintptr_t)file->fh;
    struct subject *subject = node->subject;
    node->opens--;
    if (node->kind == NODE_FILE) {
        subject->opens--;
        if (handle->stream != NULL) {
            node->streams--;
            subject->streams--;
            mount->streams--;
            /* Nobody needs the rest. */
            if (subject->running && subject->streams == 0 && !is_waited_for(mount, subject))
                job_stop(subject);
        }
        if (node->version != NULL)
            node->version->opens--;
        if (handle->extends && node->version == subject->current)
            subject_extend(subject);
        if (handle->stream != NULL)
            end_stream(mount, handle->stream);
        free(handle);
    }
    node_forget(mount, node->nodeid, 0);
}

static void answer_open(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    struct fuse_file_info *file = &request->file;
    struct handle *handle = node->kind == NODE_FILE ? calloc(1, sizeof *handle) : NULL;
    if (node->kind == NODE_FILE && handle == NULL) {
        fuse_reply_err(request->req, ENOMEM);
        return;
    }
    file->fh = (uintptr_t)handle;
    file->keep_cache = 1; /* the bytes of a node never change */
    node->opens++;
    node->lookups++; /* stays until it has been replied */
    if (node->shown_to == request->pid)
        node->shown_to = 0;
    if (node->kind == NODE_FILE) {
        node->subject->opens++;
        if (request->stream != NULL)
            open_stream(request, handle);
        else
            node->version->opens++;
        if (node->version != NULL && node->version == node->subject->current)
            handle->extends = subject_open(node->subject, node->face);
        subject_keep_promise(node->subject, request->pid);
    }
    if (fuse_reply_open(request->req, file) == -ENOENT) /* interrupted: there will be no RELEASE */
        request_close(mount, node, file);
    node_forget(mount, node->nodeid, 1);
}

static void answer_opendir(struct mount *mount, struct request *request)
{
    struct listing *listing;
    int rc = node_list(mount, request->node, &listing);
    if (rc < 0) {
        fuse_reply_err(request->req, -rc);
        return;
    }
    request->file.fh = (uintptr_t)listing;
    if (fuse_reply_open(request->req, &request->file) == -ENOENT)
        listing_free(listing);
}

static void answer(struct mount *mount, struct request *request, int rc)
{
    if (request->hooked)
        fuse_req_interrupt_func(request->req, NULL, NULL); /* waits out a callback under way */
    /* The kernel looks the name up again, but only once. */
    if (rc == -ESTALE && request->node->kind == NODE_FILE && request->node->subject != NULL)
        subject_promise(request->node->subject, request->pid, NULL);
    if (rc < 0)
        fuse_reply_err(request->req, -rc);
    else if (request->kind == REQUEST_GETATTR)
        answer_attributes(mount, request);
    else if (request->kind == REQUEST_OPEN)
        answer_open(mount, request);
    else
        answer_opendir(mount, request);
    free(request);
}

/* Whether it was answered. */
static bool try(struct mount *mount, struct request *request)
{
    int rc = node_is_directory(request->node)   ? try_directory(mount, request)
             : request->node->kind == NODE_TEXT ? 0
                                                : try_file(mount, request);
    if (rc == -EAGAIN)
        return false;
    answer(mount, request, rc);
    return true;
}

static void on_interrupt(fuse_req_t req, void *data)
{
    struct request *request = data;
    (void)req;
    request->interrupted = true;
}

void request_start(struct mount *mount, fuse_req_t req, struct node *node, enum request_kind kind,
                   const struct fuse_file_info *file)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    request->req = req;
    request->node = node;
    request->kind = kind;
    if (file != NULL)
        request->file = *file;
    request->pid = fuse_req_ctx(req)->pid;
    request->arrived = clock_ms();
    if (mount->ending) {
        answer(mount, request, -EIO);
        return;
    }
    if (try(mount, request))
        return;
    request->next = mount->parked;
    mount->parked = request;
    request->hooked = true;
    fuse_req_interrupt_func(req, on_interrupt, request);
}

void request_retry_all(struct mount *mount)
{
    struct request *list = mount->parked, *next;
    mount->parked = NULL;
    for (struct request *request = list; request != NULL; request = next) {
        next = request->next;
        if (!try(mount, request)) {
            request->next = mount->parked;
            mount->parked = request;
        }
    }
}

void request_fail_all(struct mount *mount, int rc)
{
    while (mount->parked != NULL) {
        struct request *request = mount->parked;
        mount->parked = request->next;
        answer(mount, request, rc);
    }
}

/* ---- interrupts ---- */

bool request_is_being_killed(int pid)
{
    const unsigned long long deadly = 1ULL << (SIGKILL - 1) | 1ULL << (SIGINT - 1) |
                                      1ULL << (SIGQUIT - 1) | 1ULL << (SIGTERM - 1) |
                                      1ULL << (SIGHUP - 1);
    char path[40], line[200];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = pid > 0 ? fopen(path, "re") : NULL;
    if (status == NULL)
        return true;
    unsigned long long pending = 0, set;
    while (fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "SigPnd: %llx", &set) == 1 || sscanf(line, "ShdPnd: %llx", &set) == 1)
            pending |= set;
    fclose(status);
    return pending & deadly;
}

void request_tend(struct mount *mount)
{
    bool may_read = false;
    for (struct request **at = &mount->parked; *at != NULL;) {
        struct request *request = *at;
        if (request->interrupted && request_is_being_killed(request->pid)) {
            *at = request->next;
            mount->count.interrupted++;
            answer(mount, request, -EINTR);
            continue;
        }
        if (request->node->kind == NODE_FILE && request->node->subject != NULL)
            request->node->subject->wanted_at = clock_ms();
        may_read |= request->node->subject != NULL && may_read_along(request);
        at = &request->next;
    }
    if (may_read)
        request_retry_all(mount);
}
