#include "codec/clock.h"
#include "fs/request_parts.h"

#include "fs/tables/job.h"
#include "fs/tables/listing.h"
#include "fs/tree/ask.h"
#include "fs/tree/query.h"
#include "fs/tree/query_session.h"
#include "fs/tree/shown.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* ---- answers ---- */

/* Not for fstat, see below. */
static void promise_result(const struct request *request)
{
    const struct node *node = request->node;
    const struct subject *subject = node->subject;
    bool leased = subject != NULL && subject->current != NULL && subject_leased(subject) &&
                  node->result != NULL && node->result->serial == subject->current->serial;
    bool asked = request->waited || (node->result != NULL && request->awaited == node->result);
    if (node->result != NULL && (asked || node->opens == 0 || leased))
        result_promise(node->result, request->caller);
}

static void answer_attributes(struct mount *mount, struct request *request)
{
    struct stat st;
    struct node *node = request->node;
    node_attributes(mount, node, &st);
    /* Not for fstat: a process that polls would never see a new version. */
    const struct subject *subject = node->kind == NODE_FILE ? node->subject : NULL;
    bool holds = subject != NULL && node->version == subject->current && subject_leased(subject);
    bool fstat = subject != NULL && node_is_opened_by(node, request->caller); /* it may be one */
    if (subject != NULL && ((request->waited && !fstat) || holds))
        promise_tell(&node->subject->promises, request->caller, node->version);
    else if (subject != NULL &&
             (node->opens == 0 || (!fstat && node_shown(node, request->caller) != NULL)))
        promise_repeat(&node->subject->promises, request->caller, node->version);
    if (node->kind == NODE_ANSWER)
        promise_result(request);
    node->exact = node->direct && !node->telling;
    double timeout = node_is_directory(node) ? 1.0 : 0.0;
    fuse_reply_attr(request->req, &st, timeout);
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

static void answer_mkdir(struct mount *mount, const struct request *request)
{
    struct node *node;
    int rc = query_make_session(mount, request->node, request->name, &request->owner, &node);
    if (rc < 0) {
        fuse_reply_err(request->req, -rc);
        return;
    }
    struct fuse_entry_param entry = {.ino = node->nodeid};
    node_attributes(mount, node, &entry.attr);
    if (fuse_reply_entry(request->req, &entry) == -ENOENT)
        node_forget(mount, node->nodeid, 1);
}

struct lookup request_lookup(const struct request *request)
{
    return (struct lookup){.parent = request->node->parent,
                           .name = request->node->name,
                           .caller = request->caller,
                           .waited = request->waited,
                           .refreshes_seen = request->refreshes_seen,
                           .changed = request->changed};
}

static void answer_lookup(struct mount *mount, const struct request *request)
{
    struct lookup lookup = request_lookup(request);
    struct fuse_entry_param entry = {.generation = 0};
    struct node *node;
    int rc = node_lookup(mount, &lookup, &node);
    if (rc < 0) {
        fuse_reply_err(request->req, -rc);
        return;
    }
    entry.ino = node->nodeid;
    node_attributes(mount, node, &entry.attr);
    if (fuse_reply_entry(request->req, &entry) == -ENOENT)
        node_forget(mount, node->nodeid, 1);
}

static void answer_read(struct mount *mount, const struct request *request)
{
    const struct buffer *bytes = &request->bytes;
    mount->count.reads++;
    mount->count.bytes_read += bytes->size;
    fuse_reply_buf(request->req, bytes->size > 0 ? (const char *)bytes->data : NULL, bytes->size);
}

void request_free(struct request *request)
{
    buffer_clear(&request->bytes);
    free(request->name);
    free(request);
}

/* The kernel looks the name up again, but only once: then this process must get a node that is
 * bound to whatever version there is. */
static void note_stale(const struct request *request)
{
    struct node *node = request->node;
    if (node->result != NULL)
        result_take_back(node->result, request->caller);
    if ((node->kind == NODE_FILE || node->kind == NODE_ANSWER) && node->subject != NULL)
        promise_tell(&node->subject->promises, request->caller, NULL);
}

static void note_answered(struct request *request)
{
    struct node *node = request->node;
    const struct promise *promise = node->kind == NODE_ANSWER && node->subject != NULL
                                        ? subject_promised(node->subject, request->caller)
                                        : NULL;
    if (promise != NULL && promise->version == NULL)
        promise_keep(&node->subject->promises, request->caller);
}

/* Takes the request. The lock may be given up meanwhile, where its own thread opens a file. */
static void answer(struct mount *mount, struct request *request, int rc)
{
    if (request->hooked)
        fuse_req_interrupt_func(request->req, NULL, NULL); /* waits out a callback under way */
    if (rc == -ESTALE)
        note_stale(request);
    else
        note_answered(request);
    request->node->requests--;
    if (rc == 0 && request->kind == REQUEST_OPEN) {
        request_open(mount, request);
        return;
    }
    if (rc < 0)
        fuse_reply_err(request->req, -rc);
    else if (request->kind == REQUEST_LOOKUP)
        answer_lookup(mount, request);
    else if (request->kind == REQUEST_GETATTR)
        answer_attributes(mount, request);
    else if (request->kind == REQUEST_OPENDIR)
        answer_opendir(mount, request);
    else if (request->kind == REQUEST_ACCESS)
        fuse_reply_err(request->req, 0);
    else if (request->kind == REQUEST_MKDIR)
        answer_mkdir(mount, request);
    else
        answer_read(mount, request);
    shown_rest(request->node);
    if (request->kind == REQUEST_LOOKUP)
        node_forget(mount, request->node->nodeid, 1);
    request_free(request);
}

/* Whether it was answered. */
static bool try(struct mount *mount, struct request *request)
{
    enum node_kind kind = request->node->kind;
    int rc = 0;
    mount->count.tries++;
    if (request->kind == REQUEST_OPEN && request->node->telling)
        return false;
    if (request->kind == REQUEST_LOOKUP)
        rc = request_try_lookup(mount, request);
    else if (node_is_directory(request->node))
        rc = request_try_directory(mount, request);
    else if (kind == NODE_FILE)
        rc = request_try_file(mount, request);
    else if (kind == NODE_ANSWER)
        rc = request_try_answer(mount, request);
    else if (request->kind == REQUEST_READ)
        rc = ask_read((struct ask *)(uintptr_t)request->file.fh, request->size, &request->bytes);
    if (rc == -EAGAIN)
        return false;
    answer(mount, request, rc);
    return true;
}

static void on_interrupt(fuse_req_t req, void *data)
{
    struct request *request = data;
    (void)req;
    request->interrupted = clock_ms();
}

static struct wait *what_it_waits_for(const struct request *request)
{
    const struct node *node = request->node;
    if (request->kind == REQUEST_READ)
        return ask_waiting((struct ask *)(uintptr_t)request->file.fh);
    if (node->result != NULL && node->result->making)
        return &node->result->waiting;
    return node->subject != NULL ? &node->subject->waiting : &request->mount->waiting;
}

static struct request *request_of(struct waiting *waiting)
{
    return (struct request *)((char *)waiting - offsetof(struct request, waiting));
}

static void add_parked(struct request *request)
{
    struct tree *tree = request->mount->tree;
    request->next = tree->parked;
    request->at = &tree->parked;
    if (request->next != NULL)
        request->next->at = &request->next;
    tree->parked = request;
    tree->parked_count++;
}

static void take_off(struct request *request)
{
    wait_take_off(&request->waiting);
    if (request->at == NULL)
        return;
    *request->at = request->next;
    if (request->next != NULL)
        request->next->at = request->at;
    request->at = NULL;
    request->mount->tree->parked_count--;
}

/* The lock may be given up meanwhile, and nobody else must find it then. */
static struct wait *try_again(struct waiting *waiting)
{
    struct request *request = request_of(waiting);
    take_off(request);
    if (try(request->mount, request))
        return NULL;
    add_parked(request);
    return what_it_waits_for(request);
}

static void park(struct mount *mount, struct request *request)
{
    struct result *work = request->work;
    add_parked(request);
    wait_hang(what_it_waits_for(request), &request->waiting);
    request->hooked = request->parked = true;
    fuse_req_interrupt_func(request->req, on_interrupt, request);
    if (work == NULL)
        return;
    pthread_mutex_unlock(&mount->lock);
    result_work(work); /* it answers the request, too */
    result_leave(mount);
    pthread_mutex_lock(&mount->lock);
}

void request_start(struct mount *mount, fuse_req_t req, struct node *node, enum request_kind kind,
                   const struct request_detail *detail)
{
    struct request *request = calloc(1, sizeof *request);
    char *name = detail->name != NULL ? strdup(detail->name) : NULL;
    if (request == NULL || (name == NULL && detail->name != NULL)) {
        free(request);
        free(name);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    request->mount = mount;
    request->waiting.try = try_again;
    request->req = req;
    request->node = node;
    request->kind = kind;
    request->name = name;
    request->owner = detail->owner;
    request->size = detail->size;
    if (detail->file != NULL)
        request->file = *detail->file;
    request->thread = fuse_req_ctx(req)->pid;
    request->caller = detail->caller;
    request->arrived = clock_ms();
    request->listing_seen = listing_now(mount);
    node->requests++;
    if (kind == REQUEST_LOOKUP)
        node->lookups++; /* stays until it has been answered: the kernel may forget it meanwhile */
    if (mount->ending) {
        answer(mount, request, -EIO);
        return;
    }
    if (!try(mount, request))
        park(mount, request);
}

void request_retry_node(struct mount *mount, const struct node *node)
{
    struct wait *here = node->subject != NULL ? &node->subject->waiting : &mount->waiting;
    if (node->requests == 0)
        return;
    for (struct request *request = mount->tree->parked; request != NULL; request = request->next)
        if (request->node == node && what_it_waits_for(request) == here)
            wait_make_due(&mount->waits, &request->waiting);
    wait_try_due(&mount->waits);
}

void request_retry_session(struct mount *mount, const struct query_session *session)
{
    for (struct request *request = mount->tree->parked; request != NULL; request = request->next)
        if (request->node->session == session)
            wait_make_due(&mount->waits, &request->waiting);
    wait_try_due(&mount->waits);
}

void request_retry_all(struct mount *mount)
{
    for (struct request *request = mount->tree->parked; request != NULL; request = request->next)
        wait_make_due(&mount->waits, &request->waiting);
    wait_try_due(&mount->waits);
}

void request_fail_all(struct mount *mount, int rc)
{
    while (mount->tree->parked != NULL) {
        struct request *request = mount->tree->parked;
        take_off(request);
        answer(mount, request, rc);
    }
}

/* ---- interrupts ---- */

/* Nobody needs an answer whose last waiter is gone. */
static void kill_request(struct mount *mount, struct request *request)
{
    struct result *result = request->node->result;
    /* Unless somebody else waits for it. */
    if (result != NULL && result->making && result->waiting.first == NULL &&
        request->node->requests == 1)
        result_stop(result);
    if (request->kind == REQUEST_READ)
        ask_interrupted((struct ask *)(uintptr_t)request->file.fh);
    mount->count.interrupted++;
    answer(mount, request, -EINTR);
}

struct interrupted_thread {
    pid_t thread;
    enum caller_fate fate;
};

/* Threads that were interrupted, and what is to become of them. */
struct interrupted {
    struct interrupted_thread *list;
    size_t count;
    int64_t now;
};

static enum caller_fate *find_fate(const struct interrupted *all, pid_t thread)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->list[i].thread == thread)
            return &all->list[i].fate;
    return NULL;
}

static bool add_interrupted(void *context, pid_t thread, int64_t interrupted)
{
    struct interrupted *all = context;
    (void)interrupted;
    if (find_fate(all, thread) != NULL)
        return false;
    void *grown = realloc(all->list, (all->count + 1) * sizeof *all->list);
    if (grown == NULL)
        return false; /* the next time */
    all->list = grown;
    all->list[all->count].thread = thread;
    all->list[all->count++].fate = CALLER_LIVES;
    return false;
}

/* If its signals cannot be seen it may be one that ends it: then it must not wait for long. */
static bool is_to_end(void *context, pid_t thread, int64_t interrupted)
{
    enum { UNKNOWN_MS = 900 };
    const struct interrupted *all = context;
    const enum caller_fate *fate = find_fate(all, thread);
    return fate != NULL && (*fate == CALLER_DIES ||
                            (*fate == CALLER_UNKNOWN && all->now - interrupted >= UNKNOWN_MS));
}

/* Of all that wait: kills some, and tries again what need not wait any longer. */
static void tend_parked(struct mount *mount, struct interrupted *all)
{
    struct request *next;
    for (struct request *request = mount->tree->parked; request != NULL; request = next) {
        struct subject *subject = request->node->subject;
        next = request->next;
        if (request->interrupted != 0 && is_to_end(all, request->thread, request->interrupted)) {
            take_off(request);
            kill_request(mount, request);
            continue;
        }
        if (subject == NULL)
            continue;
        subject->wanted_at = clock_ms();
        if (request->node->kind == NODE_FILE &&
            (request_may_read_along(request) || request_looks_no_longer(request)))
            wait_make_due(&mount->waits, &request->waiting);
    }
    wait_try_due(&mount->waits);
}

void request_tend(struct mount *mount)
{
    struct interrupted all = {.now = clock_ms()};
    pthread_mutex_lock(&mount->lock);
    for (const struct request *request = mount->tree->parked; request != NULL;
         request = request->next)
        if (request->interrupted != 0)
            add_interrupted(&all, request->thread, request->interrupted);
    read_tend(mount, add_interrupted, &all);
    pthread_mutex_unlock(&mount->lock);
    for (size_t i = 0; i < all.count; i++)
        all.list[i].fate = caller_fate(all.list[i].thread);
    pthread_mutex_lock(&mount->lock);
    ask_tend(mount);
    read_tend(mount, is_to_end, &all);
    tend_parked(mount, &all);
    pthread_mutex_unlock(&mount->lock);
    free(all.list);
}
