#include "fs/tree/answer_file.h"

#include "codec/hash.h"
#include "fs/tables/job_wanted.h"
#include "fs/tree/call.h"
#include "pgclient/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRIES = 3 }; /* if the table changes during the answer */

struct answer_node {
    struct node node;
    struct result_key key; /* its asked and asker are references */
    uint64_t shows;        /* the number of the result that it shows; 0: pending */
    struct result *result; /* a reference; NULL: pending, or not in use */
    bool own;              /* for one process that was told ESTALE; others do not share the node */
    int stale_answers;     /* how many answers in a row, up to the last one, failed with -ESTALE */
    struct promises shown; /* the callers that have only looked it up, since they called last */
};

static struct answer_node *of(const struct node *node) { return (struct answer_node *)node; }

/* The session that asks; NULL: a path asks. */
static struct query_session *session_of(const struct answer_node *answer)
{
    return (struct query_session *)answer->key.asker;
}

static bool is_answer(const struct node *node)
{
    return node->class == &answer_of_session || node->class == &answer_of_path;
}

/* ---- which result a node shows ---- */

static void show(struct answer_node *answer, const struct result *result)
{
    answer->shows = result != NULL ? result->number : 0;
}

/* The result that the node shows, if it is at hand; NULL: it is not, or the node is pending.
 * Borrowed. */
static struct result *find_shown(const struct mount *mount, const struct answer_node *answer)
{
    if (answer->result != NULL || answer->shows == 0)
        return answer->result;
    const struct query_session *session = session_of(answer);
    struct result *plan = session != NULL ? session->plan : NULL;
    return plan != NULL && plan->number == answer->shows ? plan
                                                         : result_numbered(mount, answer->shows);
}

/* Gives the node the result that it shows, unless it is pending. -ESTALE: the result is not kept
 * any more. */
static int take_shown(const struct mount *mount, struct answer_node *answer)
{
    struct result *result = find_shown(mount, answer);
    if (result == NULL && answer->shows != 0)
        return -ESTALE;
    if (result != NULL && answer->result == NULL)
        answer->result = result_ref(result);
    return 0;
}

static void rest(struct node *node)
{
    struct answer_node *answer = of(node);
    struct result *result = answer->result;
    promises_expire(&answer->shown);
    if (result == NULL || node->opens > 0 || node->calls > 0)
        return;
    if (!result->making && result->rc < 0)
        show(answer, NULL); /* the next call gets another try */
    result_unref(result);
    answer->result = NULL;
}

static void clear(struct node *node)
{
    struct answer_node *answer = of(node);
    result_unref(answer->result);
    asked_unref(answer->key.asked);
    asker_unref(answer->key.asker);
    promises_clear(&answer->shown);
}

/* ---- look-up ---- */

/* The node that shows the result; NULL: none. An open node answers for its own result. */
static struct node *node_with(const struct node *parent, const struct result_key *key,
                              const struct result *result, bool open)
{
    uint64_t number = result != NULL ? result->number : 0;
    struct node *file = parent->files;
    while (file != NULL && (!is_answer(file) || of(file)->key.path != key->path || of(file)->own ||
                            of(file)->key.asked->number != key->asked->number ||
                            of(file)->shows != number || (file->opens > 0 && !open)))
        file = file->next_file;
    return file;
}

static int answer_new(struct mount *mount, const struct lookup *lookup,
                      const struct result_key *key, const struct result *result, struct node **out)
{
    const struct node_class *class = key->asker != NULL ? &answer_of_session : &answer_of_path;
    int rc = node_new(mount, lookup->parent, class, lookup->name, out);
    if (rc < 0)
        return rc;
    struct answer_node *answer = of(*out);
    answer->key = *key;
    asked_ref(key->asked);
    if (key->asker != NULL)
        asker_ref(key->asker);
    show(answer, result);
    answer->node.told = result != NULL && !result->making && result->rc == 0;
    return 0;
}

/* The plan of the session's last answer, if that answered the present question; NULL: it did not,
 * or the file shows no plan. */
static struct result *plan_of(const struct result_key *key)
{
    const struct query_session *session = (const struct query_session *)key->asker;
    struct result *plan = key->kind == RESULT_PLAN ? session->plan : NULL;
    return plan != NULL && plan->key.asked->number == key->asked->number ? plan : NULL;
}

/* The result that the caller is shown without asking the server; *sure: it holds. NULL: nothing is
 * at hand. */
static struct result *at_hand(struct mount *mount, const struct result_key *key,
                              const struct subject *subject, caller_id caller, bool *sure)
{
    struct result *result = result_promised(mount, key, caller);
    if (result == NULL)
        result = plan_of(key);
    *sure = result != NULL;
    if (result == NULL && subject != NULL && subject->current != NULL) {
        result = result_find(mount, key, subject->current);
        *sure = subject_leased(subject);
    }
    return result;
}

/* For a caller that was told ESTALE: a node that is not shared. */
static int look_up_own(struct mount *mount, const struct lookup *lookup,
                       const struct result_key *key, struct subject *subject, struct node **out)
{
    int rc = answer_new(mount, lookup, key, NULL, out);
    if (rc == 0) {
        of(*out)->own = true;
        node_set_subject(*out, subject);
    }
    return rc;
}

int answer_file_look_up(struct mount *mount, const struct lookup *lookup,
                        const struct result_key *key, struct node **out)
{
    struct node *parent = lookup->parent, *known;
    struct subject *subject = node_rows(mount, parent);
    const struct promise *promise =
        subject != NULL ? subject_promised(subject, lookup->caller) : NULL;
    bool sure, stale = promise != NULL && promise->version == NULL;
    if (stale && result_promised(mount, key, lookup->caller) == NULL)
        return look_up_own(mount, lookup, key, subject, out);
    struct result *result = at_hand(mount, key, subject, lookup->caller, &sure);
    known = result != NULL ? node_with(parent, key, result, sure) : NULL;
    if (known == NULL && !sure) {
        result = NULL;
        known = node_with(parent, key, NULL, true);
    }
    int rc = known != NULL ? 0 : answer_new(mount, lookup, key, result, &known);
    if (rc < 0)
        return rc;
    if (known->subject == NULL)
        node_set_subject(known, subject);
    /* so that its stat is known to be by path */
    promise_show(&of(known)->shown, lookup->caller, NULL,
                 &(struct glance){.nodeid = known->nodeid});
    *out = known;
    return 0;
}

int answer_file_look_up_path(struct mount *mount, const struct lookup *lookup,
                             enum result_kind kind, int format, struct question *question,
                             struct node **out)
{
    struct asked *asked;
    int rc = asked_new(question, 0, &asked);
    if (rc < 0)
        return rc;
    struct result_key key = {.kind = kind,
                             .format = format,
                             .path = node_path(lookup->parent, lookup->name),
                             .asked = asked};
    rc = answer_file_look_up(mount, lookup, &key, out);
    asked_unref(asked);
    return rc;
}

/* ---- what a call waits for ---- */

/* Keeps the reason for the directory's attribute, beside the session's `error`. Every user can read
 * the attribute, but not every session: a reason from a closed session is left out. */
static void keep_reason(struct answer_node *answer, const char *reason)
{
    const struct query_session *session = session_of(answer);
    if (session == NULL || (session->values.owner.mode & S_IROTH))
        node_keep_reason(&answer->node, answer->key.path, reason);
}

/* Begins to make the result, on this thread if that is possible. */
static int make_result(struct mount *mount, struct call *call, struct result *result)
{
    bool slow = question_asks_server(&result->key.asked->question);
    result_begin(result, call->node->subject);
    if (!slow && !call->parked && after_may_run(mount)) {
        call->after = (struct after){.run = result_work, .argument = result};
        return 0;
    }
    int rc = slow ? waiters_add(mount->waiters, result_work_patiently, result)
                  : workers_add(mount->queriers, result_work, result, 0);
    return rc < 0 ? result_cancel(result) : 0;
}

static int wait_for(struct call *call, struct result *result)
{
    call->awaited = result;
    call->on = &result->waiting;
    return -EAGAIN;
}

/* The node shows the answer for the current version from now on. */
static int bind_result(struct mount *mount, struct call *call)
{
    struct answer_node *answer = of(call->node);
    struct result *result = result_find(mount, &answer->key, answer->node.subject->current);
    int tries = call->tries > answer->stale_answers ? call->tries : answer->stale_answers;
    bool last = tries + 1 >= TRIES;
    int rc = 0;
    if (result != NULL && (!result->making || result->last || !last)) {
        answer->result = result_ref(result);
    } else if ((rc = result_new(mount, &answer->key, &result)) == 0) {
        answer->result = result;
        result->last = last;
        rc = make_result(mount, call, result);
        if (rc == 0)
            result_keep(result);
    }
    show(answer, answer->result);
    call->awaited = answer->result;
    return rc < 0 || !answer->result->making ? rc : wait_for(call, answer->result);
}

/* Decides what the failed attempt means to the call that waited for it. */
static int settle_failure(struct call *call, int rc)
{
    struct answer_node *answer = of(call->node);
    /* the attempt may be that of another call, on its first try */
    if (rc == -ESTALE && !answer->result->last) {
        call->tries++;
        call->waited = false;
        return -EAGAIN;
    }
    if (rc == -EINTR)
        return -EAGAIN;
    if (answer->result->reason != NULL)
        keep_reason(answer, answer->result->reason);
    return result_errno(rc == -ESTALE ? -EIO : rc);
}

static int want_rows(struct call *call)
{
    call_await_refresh(call);
    job_want_refresh(call->node->subject, -1);
    return -EAGAIN;
}

/* Finds the table's rows, which must have vectors. */
static int need_rows(struct mount *mount, struct call *call)
{
    struct answer_node *answer = of(call->node);
    const struct subject *before = answer->node.subject;
    int rc = call_need_subject(mount, call, node_rows, answer->result != NULL);
    const struct subject *now = answer->node.subject;
    if (rc == 0 && now != before && !now->table->relation.has_vectors) {
        node_set_subject(&answer->node, NULL);
        rc = -ENOENT;
    }
    if (rc < 0 && rc != -EAGAIN && rc != -ESTALE && session_of(answer) != NULL)
        query_session_answered(session_of(answer), rc,
                               answer->node.subject != NULL ? &answer->node.subject->error
                                                            : &(struct error){""});
    return rc;
}

/* Drops the node's result, which has failed. -EAGAIN: the node has none now. */
static int drop_failed(struct call *call)
{
    struct answer_node *answer = of(call->node);
    struct result *result = answer->result;
    int rc = call->awaited == result ? settle_failure(call, result->rc) : -EAGAIN;
    if (rc != -EAGAIN)
        return rc;
    answer->stale_answers = result->rc == -ESTALE ? answer->stale_answers + 1 : 0;
    result_unref(result);
    answer->result = NULL;
    show(answer, NULL);
    return rc;
}

/* Whether a call may have the result that the node shows, even if the table has changed since. */
static bool is_good_for(const struct call *call, const struct result *result)
{
    return call->awaited == result || call->node->opens > 0 || result->key.kind != RESULT_ROWS ||
           (call->kind == CALL_OPEN && result_is_promised(result, call->caller));
}

static int ready(struct mount *mount, struct call *call)
{
    struct answer_node *answer = of(call->node);
    const struct query_session *session = session_of(answer);
    int rc = take_shown(mount, answer);
    if (rc < 0)
        return rc;
    struct result *result = answer->result;
    bool made = result != NULL && !result->making && result->rc == 0;
    if (!made && session != NULL && session->directory == NULL) /* the session has ended */
        return -ENOENT;
    if (result != NULL && result->making)
        return wait_for(call, result);
    if (result != NULL && result->rc < 0 && (rc = drop_failed(call)) != -EAGAIN)
        return rc;
    result = answer->result;
    if (result != NULL)
        answer->stale_answers = 0;
    if (result != NULL && is_good_for(call, result))
        return 0;
    rc = need_rows(mount, call);
    if (rc < 0)
        return rc;
    struct subject *subject = answer->node.subject;
    if (!(call_is_refreshed(call) || subject_leased(subject)) || subject->current == NULL)
        return want_rows(call);
    job_renew(subject);
    if (result != NULL)
        return result_holds(result, subject->current) ? 0 : -ESTALE;
    return bind_result(mount, call);
}

/* An answer whose last waiter is gone is not needed. */
static void interrupted(struct call *call)
{
    struct result *result = of(call->node)->result;
    if (result != NULL && result->making && result->waiting.first == NULL && call->node->calls == 1)
        result_stop(result);
}

/* Promises the result to the caller; not for fstat, or a process that polls would never see a new
 * version. */
static void promise_result(const struct call *call)
{
    const struct answer_node *answer = of(call->node);
    const struct subject *subject = answer->node.subject;
    struct result *result = answer->result;
    bool leased = subject != NULL && subject->current != NULL && subject_leased(subject) &&
                  result != NULL && result->serial == subject->current->serial;
    bool asked = call->waited || (result != NULL && call->awaited == result);
    bool by_path = promise_find(&answer->shown, call->caller) != NULL;
    bool sure = asked || answer->node.opens == 0 || leased;
    if (result != NULL && (sure || by_path))
        result_promise(result, call->caller, !sure);
}

/* After ESTALE the kernel looks the name up again, but only once: that time this process must get a
 * node of its own. */
static void settled(struct call *call, int rc)
{
    struct answer_node *answer = of(call->node);
    struct subject *subject = answer->node.subject;
    if (rc == -ESTALE && answer->result != NULL)
        result_take_back(answer->result, call->caller);
    if (rc == -ESTALE && subject != NULL) {
        promise_tell(&subject->promises, call->caller, NULL);
    } else if (subject != NULL) {
        const struct promise *promise = subject_promised(subject, call->caller);
        if (promise != NULL && promise->version == NULL)
            promise_keep(&subject->promises, call->caller);
    }
    if (rc == 0 && call->kind == CALL_GETATTR)
        promise_result(call);
    promise_keep(&answer->shown, call->caller);
}

/* ---- attributes ---- */

static void result_attributes(const struct answer_node *answer, const struct result *result,
                              struct stat *st)
{
    const struct query_session *session = session_of(answer);
    bool of_version = result->key.kind == RESULT_ROWS;
    uint64_t parts[] = {answer->node.ino, answer->key.asked->number,
                        of_version ? result->serial : result->number, result->contents};
    uint64_t ino = hash64(parts, sizeof parts);
    time_t when = of_version ? (time_t)result->mtime : result->made_at;
    if (session != NULL && session->values.changed_at > when)
        when = session->values.changed_at;
    st->st_ino = ino > 1 ? ino : 2;
    st->st_size = (off_t)result->bytes.size;
    st->st_atime = st->st_mtime = st->st_ctime = when;
}

static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    const struct answer_node *answer = of(node);
    const struct query_session *session = session_of(answer);
    const struct result *result = find_shown(mount, answer);
    if (result != NULL && !result->making && result->rc == 0)
        result_attributes(answer, result, st);
    if (session == NULL)
        return;
    st->st_uid = session->values.owner.uid;
    st->st_gid = session->values.owner.gid;
    st->st_mode &= S_IFMT | session->values.owner.mode;
}

/* The kernel forgets a file that failed, so its reason is kept with query/. */
static void reason(struct mount *mount, struct node *node, char *text, size_t size)
{
    struct node *above = node->parent;
    while (above->class->kept_reason == NULL)
        above = above->parent;
    const char *kept = above->class->kept_reason(above, of(node)->key.path);
    (void)mount;
    snprintf(text, size, "%s",
             kept != NULL            ? kept
             : node->subject != NULL ? node->subject->error.text
                                     : "");
}

/* ---- open files ---- */

static void let_go(struct mount *mount, void *result)
{
    (void)mount;
    result_unref(result);
}

/* Keeps a reference while the reply is sent: the file may be closed before the call that sends it
 * returns. */
static int read_result(struct handle *handle, uint64_t offset, size_t size, struct read_source *out)
{
    struct result *result = result_ref(of(handle->node)->result);
    (void)offset, (void)size;
    out->text = &result->bytes;
    out->let_go = let_go;
    out->owner = result;
    return 0;
}

static void close_answer(struct mount *mount, struct handle *handle)
{
    struct answer_node *answer = of(handle->node);
    (void)mount;
    /* An answer to an older look-up may still be under way, and may tell size 0 to a kernel that
     * has forgotten the real size. */
    if (answer->node.opens == 0) {
        answer->node.told = false;
        result_close(answer->result);
    }
    handle_free(handle);
}

static void free_handle(void *handle) { handle_free(handle); }

static const struct handle_class answer_handle = {.read = read_result, .close = close_answer};

/* The result takes memory as long as it is open. */
static int open_answer(struct mount *mount, struct call *call, struct handle **out)
{
    struct answer_node *answer = of(call->node);
    struct error error = {""};
    struct handle *handle;
    int rc = handle_new(mount, call->node, &answer_handle, sizeof *handle, free_handle, &handle);
    if (rc < 0)
        return rc;
    if (answer->node.opens == 0)
        rc = result_open(answer->result, &error);
    if (rc < 0) {
        handle_free(handle);
        keep_reason(answer, error.text);
        if (session_of(answer) != NULL)
            query_session_answered(session_of(answer), rc, &error);
        return rc;
    }
    result_take_back(answer->result, call->caller); /* the promise was for one open */
    *out = handle;
    return 0;
}

static bool size_news(const struct node *node, const struct handle *handle, struct size_news *out)
{
    const struct buffer *bytes = &of(node)->result->bytes;
    (void)handle;
    *out = (struct size_news){.size = bytes->size,
                              .last = bytes->size > 0 ? bytes->data[bytes->size - 1] : 0};
    return !node->told && bytes->size > 0;
}

#define ANSWER_CLASS                                                                               \
    .mode = S_IFREG | 0444, .size = sizeof(struct answer_node), .clear = clear, .ready = ready,    \
    .attributes = attributes, .settled = settled, .rest = rest, .interrupted = interrupted,        \
    .reason = reason, .open = open_answer, .size_news = size_news

const struct node_class answer_of_session = {ANSWER_CLASS};
const struct node_class answer_of_path = {ANSWER_CLASS, .flags = CLASS_UNBOUNDED};
