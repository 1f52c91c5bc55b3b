/* The life of a request: every kind of call, through every course of what can happen to it, is
 * answered once, with what the first event that decides says, and leaves nothing behind. */
#include "fs/request.h"

#include "codec/clock.h"
#include "fs/options.h"
#include "fs/tree/entries.h"
#include "fs/tree/node.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THREAD = 4711, UNKNOWN_MS = 900, KINDS = CALL_FLUSH + 1, LENGTH = 4 };

/* What its class finds whenever it is tried, and what is answered then. */
enum outcome { LATER, READY, FAILS, OUTCOMES };

/* What can happen to a request that is parked. */
enum event {
    TRIED_LATER,     /* its list is called: it must go on waiting, */
    TRIED_READY,     /* it can be answered, */
    TRIED_FAILS,     /* or fails */
    TRIED_ELSEWHERE, /* another list is called */
    TRIED_ALL,       /* all requests are tried: it can be answered */
    OVERDUE,         /* the ticker looks: it can be answered, though nothing has happened */
    SIGNALLED,       /* its caller got a signal, and the ticker finds that it lives, */
    KILLED,          /* dies, */
    UNSEEN,          /* or cannot be seen, */
    UNSEEN_LONG,     /* the same for a long time */
    ENDS,            /* the mount ends */
    EVENTS
};

static struct fixture {
    struct options options;
    struct mount mount;
    struct node *node;
    struct handle *handle; /* of READ and FLUSH */
    struct wait here, elsewhere;
    enum outcome outcome;
    enum caller_fate fate;
    bool overdue;
    int64_t now;
    fuse_interrupt_func_t hook;
    void *hooked;
    int replies, replied; /* the errno */
    uint64_t opened;      /* the fh of an answered OPEN or OPENDIR */
    int tries, settled, interrupted;
} fixture;

/* ---- in the place of libfuse, of /proc and of the clock ---- */

static int reply(int err)
{
    assert_null(fixture.hook); /* an interrupt that comes now must find no request */
    fixture.replies++;
    fixture.replied = err;
    return 0;
}

int __wrap_fuse_reply_err(fuse_req_t req, int err);
int __wrap_fuse_reply_attr(fuse_req_t req, const struct stat *st, double seconds);
int __wrap_fuse_reply_entry(fuse_req_t req, const struct fuse_entry_param *entry);
int __wrap_fuse_reply_open(fuse_req_t req, const struct fuse_file_info *file);
int __wrap_fuse_reply_buf(fuse_req_t req, const char *bytes, size_t size);
const struct fuse_ctx *__wrap_fuse_req_ctx(fuse_req_t req);
void __wrap_fuse_req_interrupt_func(fuse_req_t req, fuse_interrupt_func_t hook, void *data);
enum caller_fate __wrap_caller_fate(pid_t thread);
int64_t __wrap_clock_ms(void);

int __wrap_fuse_reply_err(fuse_req_t req, int err)
{
    (void)req;
    return reply(err);
}

int __wrap_fuse_reply_attr(fuse_req_t req, const struct stat *st, double seconds)
{
    (void)req, (void)seconds;
    assert_int_equal(st->st_ino, fixture.node->ino);
    return reply(0);
}

int __wrap_fuse_reply_entry(fuse_req_t req, const struct fuse_entry_param *entry)
{
    (void)req;
    assert_int_equal(entry->ino, fixture.node->nodeid);
    return reply(0);
}

int __wrap_fuse_reply_open(fuse_req_t req, const struct fuse_file_info *file)
{
    (void)req;
    fixture.opened = file->fh;
    return reply(0);
}

int __wrap_fuse_reply_buf(fuse_req_t req, const char *bytes, size_t size)
{
    (void)req;
    assert_true(size == 5 && memcmp(bytes, "bytes", 5) == 0);
    return reply(0);
}

const struct fuse_ctx *__wrap_fuse_req_ctx(fuse_req_t req)
{
    static const struct fuse_ctx ctx = {.pid = THREAD};
    (void)req;
    return &ctx;
}

void __wrap_fuse_req_interrupt_func(fuse_req_t req, fuse_interrupt_func_t hook, void *data)
{
    (void)req;
    fixture.hook = hook;
    fixture.hooked = data;
}

enum caller_fate __wrap_caller_fate(pid_t thread)
{
    assert_int_equal(thread, THREAD);
    return fixture.fate;
}

int64_t __wrap_clock_ms(void) { return fixture.now; }

/* ---- a class ---- */

static int find_out(struct call *call)
{
    fixture.tries++;
    call->on = fixture.outcome == LATER ? &fixture.here : NULL;
    return fixture.outcome == LATER ? -EAGAIN : fixture.outcome == FAILS ? -EIO : 0;
}

static int ready(struct mount *mount, struct call *call)
{
    (void)mount;
    return find_out(call);
}

static void settled(struct call *call, int rc)
{
    (void)call, (void)rc;
    fixture.settled++;
}

static void interrupted(struct call *call)
{
    (void)call;
    fixture.interrupted++;
}

static bool overdue(const struct call *call)
{
    (void)call;
    return fixture.overdue;
}

static int look_up(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    (void)mount;
    assert_string_equal(lookup->name, fixture.node->name);
    *out = fixture.node;
    return 0;
}

static int make(struct mount *mount, struct node *node, const char *name, const struct owner *owner,
                struct node **out)
{
    (void)mount, (void)owner;
    assert_string_equal(name, "made");
    *out = node;
    node->lookups++;
    return 0;
}

static int read_answer(struct call *call)
{
    int rc = find_out(call);
    return rc == 0 ? buffer_append(&call->bytes, "bytes", 5) : rc;
}

static void close_handle(struct mount *mount, struct handle *handle)
{
    (void)mount;
    handle_free(handle);
}

static const struct handle_class handle_class = {
    .answer = read_answer, .flushed = find_out, .interrupted = interrupted, .close = close_handle};

static int open_node(struct mount *mount, struct call *call, struct handle **out)
{
    return handle_new(mount, call->node, &handle_class, sizeof(struct handle), free, out);
}

static const struct node_class root_class = {
    .mode = S_IFDIR | 0555, .size = sizeof(struct node), .lookup = look_up};
static const struct node_class directory_class = {.mode = S_IFDIR | 0555,
                                                  .size = sizeof(struct node),
                                                  .ready = ready,
                                                  .settled = settled,
                                                  .interrupted = interrupted,
                                                  .overdue = overdue,
                                                  .make = make};
static const struct node_class file_class = {.mode = S_IFREG | 0444,
                                             .size = sizeof(struct node),
                                             .ready = ready,
                                             .settled = settled,
                                             .interrupted = interrupted,
                                             .overdue = overdue,
                                             .open = open_node};

/* ---- a life ---- */

static bool is_of_directory(int kind)
{
    return kind == CALL_OPENDIR || kind == CALL_ACCESS || kind == CALL_MKDIR;
}

static bool is_of_handle(int kind) { return kind == CALL_READ || kind == CALL_FLUSH; }

static void begin(int kind)
{
    struct mount *mount = &fixture.mount;
    fixture.here = fixture.elsewhere = (struct wait){NULL};
    fixture.replies = fixture.replied = fixture.tries = fixture.settled = fixture.interrupted = 0;
    fixture.hook = NULL;
    fixture.opened = 0;
    fixture.handle = NULL;
    mount->ending = false;
    assert_int_equal(node_new(mount, mount->tree->root,
                              is_of_directory(kind) ? &directory_class : &file_class, "name",
                              &fixture.node),
                     0);
    fixture.node->lookups = 1;
    if (is_of_handle(kind)) {
        assert_int_equal(handle_new(mount, fixture.node, &handle_class, sizeof(struct handle), free,
                                    &fixture.handle),
                         0);
        fixture.node->opens = 1;
    }
}

static void arrive(int kind, enum outcome outcome)
{
    struct fuse_file_info file = {0};
    fixture.outcome = outcome;
    request_start(&fixture.mount, (fuse_req_t)&fixture, fixture.node, (enum call_kind)kind,
                  &(struct request_detail){.file = &file,
                                           .handle = fixture.handle,
                                           .size = 100,
                                           .name = kind == CALL_MKDIR ? "made" : NULL});
}

/* A signal comes, and then the ticker. */
static void signal_and_tend(enum caller_fate fate, int64_t after)
{
    fixture.fate = fate;
    if (fixture.hook != NULL)
        fixture.hook((fuse_req_t)&fixture, fixture.hooked);
    fixture.now += after;
    pthread_mutex_unlock(&fixture.mount.lock);
    request_tend(&fixture.mount);
    pthread_mutex_lock(&fixture.mount.lock);
}

static void happen(int event)
{
    struct mount *mount = &fixture.mount;
    fixture.outcome = event == TRIED_LATER ? LATER : event == TRIED_FAILS ? FAILS : READY;
    fixture.overdue = event == OVERDUE;
    switch (event) {
    case TRIED_ELSEWHERE:
        wait_call(&mount->waits, &fixture.elsewhere);
        break;
    case TRIED_ALL:
        request_retry_all(mount);
        break;
    case OVERDUE:
        pthread_mutex_unlock(&mount->lock);
        request_tend(mount);
        pthread_mutex_lock(&mount->lock);
        break;
    case SIGNALLED:
        signal_and_tend(CALLER_LIVES, UNKNOWN_MS);
        break;
    case KILLED:
        signal_and_tend(CALLER_DIES, 0);
        break;
    case UNSEEN:
        signal_and_tend(CALLER_UNKNOWN, UNKNOWN_MS - 1);
        break;
    case UNSEEN_LONG:
        signal_and_tend(CALLER_UNKNOWN, UNKNOWN_MS);
        break;
    case ENDS:
        mount->ending = true;
        request_fail_all(mount, -EIO);
        break;
    default:
        wait_call(&mount->waits, &fixture.here);
    }
}

enum { PARKED = -1 };

/* What the event makes of a parked request: PARKED, or the errno that it is answered with. */
static int decides(int event)
{
    switch (event) {
    case TRIED_READY:
    case TRIED_ALL:
    case OVERDUE:
        return 0;
    case TRIED_FAILS:
    case ENDS:
        return EIO;
    case KILLED:
    case UNSEEN_LONG:
        return EINTR;
    default:
        return PARKED;
    }
}

static bool is_parked(void) { return fixture.mount.tree->parked != NULL; }

static void assert_state(int state)
{
    struct node *node = fixture.node;
    assert_int_equal(fixture.replies, state == PARKED ? 0 : 1);
    assert_int_equal(is_parked(), state == PARKED);
    assert_int_equal(fixture.mount.tree->parked_count, state == PARKED ? 1 : 0);
    assert_int_equal(node->calls, state == PARKED ? 1 : 0);
    assert_int_equal(fixture.hook != NULL, state == PARKED);
    assert_int_equal(fixture.settled, state == PARKED ? 0 : 1);
    assert_int_equal(fixture.interrupted, state == EINTR ? 1 : 0);
    if (state == PARKED) {
        assert_non_null(fixture.here.first);
        return;
    }
    assert_int_equal(fixture.replied, state);
    assert_null(fixture.here.first);
    assert_null(fixture.elsewhere.first);
}

/* What an answer has given is given back; then nothing of the request is left. */
static void end(int kind, int state)
{
    struct mount *mount = &fixture.mount;
    bool entry = kind == CALL_LOOKUP || kind == CALL_MKDIR;
    assert_int_equal(fixture.node->lookups, entry && state == 0 ? 2 : 1);
    if (state == 0 && kind == CALL_OPEN)
        handle_close(mount, (struct handle *)(uintptr_t)fixture.opened);
    if (state == 0 && kind == CALL_OPENDIR)
        entries_free((struct entries *)(uintptr_t)fixture.opened);
    if (fixture.handle != NULL)
        handle_close(mount, fixture.handle);
    assert_int_equal(fixture.node->opens, 0);
    assert_null(mount->tree->opened);
    fixture.node->lookups = 1;
    uint64_t nodeid = fixture.node->nodeid;
    fixture.mount.tree->root->lookups = 1;
    node_forget(mount, nodeid, 1);
    if (!is_of_directory(kind))
        assert_null(node_find(mount, nodeid));
}

/* One course: how it arrives, and then so many events, the digits of `course`. */
static void live(int kind, enum outcome arrival, int course)
{
    int state = arrival == LATER ? PARKED : arrival == READY ? 0 : EIO;
    begin(kind);
    arrive(kind, arrival);
    assert_state(state);
    for (int i = 0; i < LENGTH; i++, course /= EVENTS) {
        int event = course % EVENTS, tries = fixture.tries;
        happen(event);
        if (state != PARKED)
            assert_int_equal(fixture.tries, tries); /* it is over */
        else
            state = decides(event);
        assert_state(state);
    }
    if (state == PARKED) {
        happen(ENDS);
        state = EIO;
        assert_state(state);
    }
    end(kind, state);
}

static void test_all_courses(void **unused)
{
    int courses = 1;
    (void)unused;
    for (int i = 0; i < LENGTH; i++)
        courses *= EVENTS;
    for (int kind = 0; kind < KINDS; kind++)
        for (int course = 0; course < courses; course++)
            live(kind, LATER, course);
}

/* What is answered at once is never parked, and nothing that happens later reaches it. */
static void test_at_once(void **unused)
{
    (void)unused;
    for (int kind = 0; kind < KINDS; kind++)
        for (int event = 0; event < EVENTS; event++) {
            live(kind, READY, event);
            live(kind, FAILS, event);
        }
}

/* A request that comes while the mount ends is not tried. */
static void test_too_late(void **unused)
{
    (void)unused;
    for (int kind = 0; kind < KINDS; kind++) {
        begin(kind);
        fixture.mount.ending = true;
        arrive(kind, READY);
        assert_int_equal(fixture.tries, 0);
        assert_state(EIO);
        end(kind, EIO);
    }
}

static int set_up(void **unused)
{
    (void)unused;
    fixture = (struct fixture){.now = 1000};
    fixture.mount.options = &fixture.options;
    fixture.mount.tree = calloc(1, sizeof *fixture.mount.tree);
    pthread_mutex_init(&fixture.mount.lock, NULL);
    pthread_mutex_lock(&fixture.mount.lock);
    return fixture.mount.tree == NULL ? -ENOMEM : node_start(&fixture.mount, &root_class);
}

static int tear_down(void **unused)
{
    (void)unused;
    pthread_mutex_unlock(&fixture.mount.lock);
    node_free_all(&fixture.mount);
    free(fixture.mount.tree);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_courses),
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_too_late),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
