#include "fs/request_parts.h"

#include "fs/ask.h"
#include "fs/job.h"
#include "fs/query.h"
#include "fs/query_session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- answers ---- */

/* Not for fstat, see below. */
static void promise_result(const struct request *request)
{
    const struct node *node = request->node;
    const struct subject *subject = node->subject;
    bool leased = subject != NULL && subject->current != NULL && subject_leased(subject) &&
                  node->result != NULL && node->result->serial == subject->current->serial;
    if (node->result != NULL && (request->waited || node->opens == 0 || leased))
        result_promise(node->result, request->pid);
}

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
        node->result->promised_to = 0;
    if ((node->kind == NODE_FILE || node->kind == NODE_ANSWER) && node->subject != NULL)
        subject_promise(node->subject, request->pid, NULL);
}

static void note_answered(struct request *request)
{
    struct node *node = request->node;
    const struct promise *promise = node->kind == NODE_ANSWER && node->subject != NULL
                                        ? subject_promised(node->subject, request->pid)
                                        : NULL;
    if (promise != NULL && promise->version == NULL)
        subject_keep_promise(node->subject, request->pid);
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
    if (rc == 0 && request->kind == REQUEST_OPEN) {
        request_open(mount, request);
        return;
    }
    if (rc < 0)
        fuse_reply_err(request->req, -rc);
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
    request_free(request);
}

/* Whether it was answered. */
static bool try(struct mount *mount, struct request *request)
{
    enum node_kind kind = request->node->kind;
    int rc = 0;
    if (request->kind == REQUEST_OPEN && request->node->telling)
        return false;
    if (node_is_directory(request->node))
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
    request->interrupted = true;
}

static void park(struct mount *mount, struct request *request)
{
    struct result *work = request->work;
    request->next = mount->parked;
    mount->parked = request;
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
    request->req = req;
    request->node = node;
    request->kind = kind;
    request->name = name;
    request->owner = detail->owner;
    request->size = detail->size;
    if (detail->file != NULL)
        request->file = *detail->file;
    request->pid = fuse_req_ctx(req)->pid;
    request->arrived = clock_ms();
    if (mount->ending) {
        answer(mount, request, -EIO);
        return;
    }
    if (!try(mount, request))
        park(mount, request);
}

void request_retry_all(struct mount *mount)
{
    ask_retry_all(mount);
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

/* Nobody needs an answer whose last waiter is gone. */
static void stop_result(struct mount *mount, struct result *result)
{
    for (const struct request *at = mount->parked; at != NULL; at = at->next)
        if (at->node->result == result)
            return;
    result->stop = true;
}

static void kill_request(struct mount *mount, struct request *request)
{
    struct result *result = request->node->result;
    if (result != NULL && result->making)
        stop_result(mount, result);
    mount->count.interrupted++;
    answer(mount, request, -EINTR);
}

/* Processes that were interrupted; then those of them that are being killed. */
struct callers {
    int *pids;
    size_t count;
};

static bool is_among(const struct callers *callers, int pid)
{
    for (size_t i = 0; i < callers->count; i++)
        if (callers->pids[i] == pid)
            return true;
    return false;
}

static void add_caller(void *context, int pid)
{
    struct callers *callers = context;
    if (is_among(callers, pid))
        return;
    int *grown = realloc(callers->pids, (callers->count + 1) * sizeof *grown);
    if (grown == NULL)
        return; /* the next time */
    callers->pids = grown;
    callers->pids[callers->count++] = pid;
}

static void keep_killed(struct callers *callers)
{
    size_t kept = 0;
    for (size_t i = 0; i < callers->count; i++)
        if (request_is_being_killed(callers->pids[i]))
            callers->pids[kept++] = callers->pids[i];
    callers->count = kept;
}

/* Of all that wait: kills some, and tries again what may read along by now. */
static void tend_parked(struct mount *mount, const struct callers *killed)
{
    bool may_read = false;
    for (struct request **at = &mount->parked; *at != NULL;) {
        struct request *request = *at;
        if (request->interrupted && is_among(killed, request->pid)) {
            *at = request->next;
            kill_request(mount, request);
            continue;
        }
        if (request->node->subject != NULL)
            request->node->subject->wanted_at = clock_ms();
        may_read |= request->node->kind == NODE_FILE && request->node->subject != NULL &&
                    request_may_read_along(request);
        at = &request->next;
    }
    if (may_read)
        request_retry_all(mount);
}

void request_tend(struct mount *mount)
{
    struct callers callers = {0};
    pthread_mutex_lock(&mount->lock);
    for (const struct request *request = mount->parked; request != NULL; request = request->next)
        if (request->interrupted)
            add_caller(&callers, request->pid);
    read_each_interrupted(mount, add_caller, &callers);
    pthread_mutex_unlock(&mount->lock);
    keep_killed(&callers);
    pthread_mutex_lock(&mount->lock);
    ask_tend(mount);
    for (size_t i = 0; i < callers.count; i++)
        read_kill(mount, callers.pids[i]);
    tend_parked(mount, &callers);
    pthread_mutex_unlock(&mount->lock);
    free(callers.pids);
}
