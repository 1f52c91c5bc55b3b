#include "fs/request_parts.h"

#include "codec/clock.h"
#include "fs/read.h"
#include "fs/request_life.h"
#include "fs/tables/listing.h"
#include "fs/tree/entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- answers ---- */

static void answer_attributes(struct mount *mount, const struct request *request)
{
    struct stat st;
    const struct node *node = request->call.node;
    node_attributes(mount, node, &st);
    fuse_reply_attr(request->req, &st, node_is_directory(node) ? 1.0 : 0.0);
}

static void answer_opendir(struct mount *mount, struct request *request)
{
    struct entries *entries;
    int rc = entries_of(mount, request->call.node, &entries);
    if (rc < 0) {
        fuse_reply_err(request->req, -rc);
        return;
    }
    request->file.fh = (uintptr_t)entries;
    if (fuse_reply_open(request->req, &request->file) == -ENOENT)
        entries_free(entries);
}

/* `rc` is that of the look-up that has given the node. The node is counted as looked up. */
static void answer_entry(struct mount *mount, const struct request *request,
                         const struct node *node, int rc)
{
    if (rc < 0) {
        fuse_reply_err(request->req, -rc);
        return;
    }
    struct fuse_entry_param entry = {.ino = node->nodeid};
    node_attributes(mount, node, &entry.attr);
    if (fuse_reply_entry(request->req, &entry) == -ENOENT)
        node_forget(mount, node->nodeid, 1);
}

static void answer_mkdir(struct mount *mount, const struct request *request)
{
    const struct call *call = &request->call;
    struct node *made = NULL;
    int rc = call->node->class->make(mount, call->node, call->name, &call->owner, &made);
    answer_entry(mount, request, made, rc);
}

static void answer_lookup(struct mount *mount, const struct request *request)
{
    struct lookup lookup = call_lookup(&request->call);
    struct node *found = NULL;
    int rc = node_lookup(mount, &lookup, &found);
    answer_entry(mount, request, found, rc);
}

static void answer_read(struct mount *mount, const struct request *request)
{
    const struct buffer *bytes = &request->call.bytes;
    mount->count.reads++;
    mount->count.bytes_read += bytes->size;
    fuse_reply_buf(request->req, bytes->size > 0 ? (const char *)bytes->data : NULL, bytes->size);
}

void request_free(struct request *request)
{
    buffer_clear(&request->call.bytes);
    free(request->call.name);
    free(request);
}

static void answer_well(struct mount *mount, struct request *request)
{
    switch (request->call.kind) {
    case CALL_LOOKUP:
        answer_lookup(mount, request);
        break;
    case CALL_GETATTR:
        answer_attributes(mount, request);
        break;
    case CALL_OPENDIR:
        answer_opendir(mount, request);
        break;
    case CALL_MKDIR:
        answer_mkdir(mount, request);
        break;
    case CALL_READ:
        answer_read(mount, request);
        break;
    default:
        fuse_reply_err(request->req, 0);
    }
}

/* Takes the request. The lock may be given up meanwhile, if the request's own thread opens a file.
 */
static void answer(struct mount *mount, struct request *request, int rc)
{
    struct call *call = &request->call;
    struct node *node = call->node;
    if (request->hooked)
        fuse_req_interrupt_func(request->req, NULL, NULL); /* waits out a callback under way */
    if (node->class->settled != NULL)
        node->class->settled(call, rc);
    node->calls--;
    if (rc == 0 && call->kind == CALL_OPEN) {
        request_open(mount, request);
        return;
    }
    if (rc < 0)
        fuse_reply_err(request->req, -rc);
    else
        answer_well(mount, request);
    if (node->class->rest != NULL)
        node->class->rest(node);
    if (call->kind == CALL_LOOKUP)
        node_forget(mount, node->nodeid, 1);
    request_free(request);
}

/* ---- tries ---- */

static int find_out(struct mount *mount, struct call *call)
{
    const struct node_class *class = call->node->class;
    if (call->kind == CALL_OPEN && call->node->telling)
        return -EAGAIN;
    if (call->kind == CALL_READ)
        return call->handle->class->answer(call);
    if (call->kind == CALL_FLUSH)
        return call->handle->class->flushed(call);
    return class->ready != NULL ? class->ready(mount, call) : 0;
}

/* Tries the request. Whether it was answered. */
static bool try(struct mount *mount, struct request *request)
{
    mount->count.tries++;
    request->call.on = NULL;
    int rc = find_out(mount, &request->call);
    const struct request_state state = {.event = REQUEST_WAS_TRIED, .rc = rc};
    if (request_next(&state) == REQUEST_WAIT)
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

/* A request begins with its call, and a call begins with its struct waiting. */
static struct request *request_of(struct waiting *waiting) { return (struct request *)waiting; }

static struct request *next_parked(const struct request *request)
{
    return (struct request *)request->call.next;
}

static struct request *first_parked(const struct mount *mount)
{
    return (struct request *)mount->tree->parked;
}

/* The lock may be given up meanwhile, and no other thread must find the request then. */
static struct wait *try_again(struct waiting *waiting)
{
    struct request *request = request_of(waiting);
    call_unlist(&request->call);
    if (try(request->call.mount, request))
        return NULL;
    call_list(&request->call);
    return call_waits_on(&request->call);
}

static void park(struct mount *mount, struct request *request)
{
    const struct after after = request->call.after;
    call_list(&request->call);
    wait_hang(call_waits_on(&request->call), &request->call.waiting);
    request->hooked = request->call.parked = true;
    fuse_req_interrupt_func(request->req, on_interrupt, request);
    if (after.run == NULL)
        return;
    pthread_mutex_unlock(&mount->lock);
    after.run(after.argument); /* this answers the request, too */
    after_done(mount);
    pthread_mutex_lock(&mount->lock);
}

void request_start(struct mount *mount, fuse_req_t req, struct node *node, enum call_kind kind,
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
    request->call = (struct call){.waiting.try = try_again,
                                  .mount = mount,
                                  .node = node,
                                  .kind = kind,
                                  .caller = detail->caller,
                                  .arrived = clock_ms(),
                                  .flags = detail->file != NULL ? detail->file->flags : 0,
                                  .handle = detail->handle,
                                  .size = detail->size,
                                  .name = name,
                                  .owner = detail->owner,
                                  .listing_seen = listing_now(mount)};
    request->req = req;
    if (detail->file != NULL)
        request->file = *detail->file;
    request->thread = fuse_req_ctx(req)->pid;
    node->calls++;
    if (kind == CALL_LOOKUP)
        node->lookups++; /* the node stays until the answer: the kernel may forget it meanwhile */
    const struct request_state state = {.event = REQUEST_COMES, .ending = mount->ending};
    if (request_next(&state) == REQUEST_FAIL)
        answer(mount, request, -EIO);
    else if (!try(mount, request))
        park(mount, request);
}

void request_retry_all(struct mount *mount)
{
    for (struct call *call = mount->tree->parked; call != NULL; call = call->next)
        wait_make_due(&mount->waits, &call->waiting);
    wait_try_due(&mount->waits);
}

void request_fail_all(struct mount *mount, int rc)
{
    while (first_parked(mount) != NULL) {
        struct request *request = first_parked(mount);
        call_unlist(&request->call);
        answer(mount, request, rc);
    }
}

/* ---- interrupts ---- */

static void kill_request(struct mount *mount, struct request *request)
{
    struct call *call = &request->call;
    void (*interrupted)(struct call *) =
        call->handle != NULL ? call->handle->class->interrupted : call->node->class->interrupted;
    if (interrupted != NULL)
        interrupted(call);
    mount->count.interrupted++;
    answer(mount, request, -EINTR);
}

struct interrupted_thread {
    pid_t thread;
    enum caller_fate fate;
};

/* Threads that were interrupted, and whether they are to end. */
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
        return false; /* the next look adds it */
    all->list = grown;
    all->list[all->count].thread = thread;
    all->list[all->count++].fate = CALLER_LIVES;
    return false;
}

/* An interrupt may have come since the look began. */
static int64_t age_of(const struct interrupted *all, int64_t interrupted)
{
    return all->now > interrupted ? all->now - interrupted : 0;
}

static bool is_to_end(void *context, pid_t thread, int64_t interrupted)
{
    const struct interrupted *all = context;
    const enum caller_fate *fate = find_fate(all, thread);
    return fate != NULL && request_must_end(*fate, age_of(all, interrupted));
}

static enum request_step next_of(const struct request *request, const struct interrupted *all)
{
    const struct call *call = &request->call;
    const struct node_class *class = call->node->class;
    const enum caller_fate *fate =
        request->interrupted != 0 ? find_fate(all, request->thread) : NULL;
    return request_next(&(struct request_state){
        .event = REQUEST_IS_TENDED,
        .interrupted_for = fate != NULL ? age_of(all, request->interrupted) : -1,
        .fate = fate != NULL ? *fate : CALLER_LIVES,
        .overdue = class->overdue != NULL && class->overdue(call)});
}

/* Goes through all waiting requests: ends those whose caller is being killed, and tries again those
 * that need not wait any longer. */
static void tend_parked(struct mount *mount, struct interrupted *all)
{
    struct request *next;
    for (struct request *request = first_parked(mount); request != NULL; request = next) {
        struct call *call = &request->call;
        enum request_step step = next_of(request, all);
        next = next_parked(request);
        if (step == REQUEST_KILL) {
            call_unlist(call);
            kill_request(mount, request);
            continue;
        }
        if (call->node->subject != NULL)
            call->node->subject->wanted_at = clock_ms();
        if (step == REQUEST_TRY)
            wait_make_due(&mount->waits, &call->waiting);
    }
    wait_try_due(&mount->waits);
}

void request_tend(struct mount *mount)
{
    struct interrupted all = {.now = clock_ms()};
    pthread_mutex_lock(&mount->lock);
    for (const struct request *request = first_parked(mount); request != NULL;
         request = next_parked(request))
        if (request->interrupted != 0)
            add_interrupted(&all, request->thread, request->interrupted);
    read_tend(mount, add_interrupted, &all);
    pthread_mutex_unlock(&mount->lock);
    for (size_t i = 0; i < all.count; i++)
        all.list[i].fate = caller_fate(all.list[i].thread);
    pthread_mutex_lock(&mount->lock);
    read_tend(mount, is_to_end, &all);
    tend_parked(mount, &all);
    pthread_mutex_unlock(&mount->lock);
    free(all.list);
}
