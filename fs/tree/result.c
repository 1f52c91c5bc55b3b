#include "fs/tree/result.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "fs/search/answer.h"
#include "fs/search/index_state.h"
#include "fs/tree/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    RESULTS_KEPT = 256,
    MEMORY_SHARE = 8,   /* at most an 8th of memory= */
    STATE_KEPT_MS = 100 /* an index's state is good for this long */
};

/* ---- questions ---- */

int asked_new(struct question *question, uint64_t number, struct asked **out)
{
    struct asked *asked = calloc(1, sizeof *asked);
    if (asked == NULL) {
        question_clear(question);
        return -ENOMEM;
    }
    *asked = (struct asked){.refs = 1, .number = number, .question = *question};
    *out = asked;
    return 0;
}

struct asked *asked_ref(struct asked *asked)
{
    atomic_fetch_add(&asked->refs, 1);
    return asked;
}

void asked_unref(struct asked *asked)
{
    if (asked == NULL || atomic_fetch_sub(&asked->refs, 1) != 1)
        return;
    question_clear(&asked->question);
    free(asked);
}

/* ---- lifetime ---- */

int result_new(struct mount *mount, const struct result_key *key, struct result **out)
{
    struct result *result = calloc(1, sizeof *result);
    if (result == NULL)
        return -ENOMEM;
    result->refs = 1;
    result->mount = mount;
    result->number = ++mount->tree->result_number;
    result->key = *key;
    asked_ref(key->asked);
    if (key->asker != NULL)
        asker_ref(key->asker);
    *out = result;
    return 0;
}

struct result *result_ref(struct result *result)
{
    atomic_fetch_add(&result->refs, 1);
    return result;
}

void result_unref(struct result *result)
{
    if (result == NULL || atomic_fetch_sub(&result->refs, 1) != 1)
        return;
    asked_unref(result->key.asked);
    asker_unref(result->key.asker);
    result->mount->tree->answer_bytes -= result->bytes.size;
    buffer_clear(&result->bytes);
    free(result->reason);
    promises_clear(&result->promises);
    free(result);
}

/* ---- results that are kept ---- */

/* Whether a look-up may still find the result: that of a session that asks something else, or has
 * ended, does not. */
static bool is_asked(const struct result *result)
{
    const struct asker *asker = result->key.asker;
    return asker == NULL || asker->class->asks(asker, result->key.asked->number);
}

/* Counts a kept result. Open ones have room of their own. */
static void count_kept(struct result *result)
{
    result->mount->tree->result_count++;
    result->mount->tree->result_bytes += result->bytes.size;
}

static void count_off(struct result *result)
{
    result->mount->tree->result_count--;
    result->mount->tree->result_bytes -= result->bytes.size;
}

static void drop(struct result *result)
{
    if (result->opens == 0)
        count_off(result);
    *result->at = result->next;
    if (result->next != NULL)
        result->next->at = result->at;
    result->at = NULL;
    result_unref(result);
}

static void put_first(struct result *result)
{
    struct mount *mount = result->mount;
    result->next = mount->tree->results;
    result->at = &mount->tree->results;
    if (result->next != NULL)
        result->next->at = &result->next;
    mount->tree->results = result;
}

/* Drops the kept result that was used longest ago. Not those that are being made, which the end of
 * the mount must find, nor open ones: a process that opens the file again must get the same. */
static bool drop_oldest(struct mount *mount)
{
    struct result *oldest = NULL;
    for (struct result *result = mount->tree->results; result != NULL; result = result->next)
        if (!result->making && result->opens == 0)
            oldest = result;
    if (oldest != NULL)
        drop(oldest);
    return oldest != NULL;
}

static void make_room(struct mount *mount)
{
    uint64_t most = mount->options->memory / MEMORY_SHARE;
    while (mount->tree->result_count > RESULTS_KEPT || mount->tree->result_bytes > most)
        if (!drop_oldest(mount))
            break;
}

void result_keep(struct result *result)
{
    put_first(result_ref(result));
    count_kept(result);
    make_room(result->mount);
}

void result_forget_asker(struct mount *mount, const struct asker *asker)
{
    for (struct result *result = mount->tree->results, *next; result != NULL; result = next) {
        next = result->next;
        if (result->key.asker == asker && !result->making)
            drop(result);
    }
}

void result_stop_asker(struct mount *mount, const struct asker *asker)
{
    for (struct result *result = mount->tree->results; result != NULL; result = result->next)
        if (result->key.asker == asker)
            result_stop(result);
}

static bool same_key(const struct result_key *a, const struct result_key *b)
{
    return a->path == b->path && a->kind == b->kind && a->asker == b->asker &&
           a->asked->number == b->asked->number;
}

static struct result *used(struct result *result)
{
    if (result != NULL && result != result->mount->tree->results) {
        *result->at = result->next;
        if (result->next != NULL)
            result->next->at = result->at;
        put_first(result);
    }
    return result;
}

static bool asks_server(const struct result *result)
{
    return result->key.kind != RESULT_INDEX && question_asks_server(&result->key.asked->question);
}

/* Whether the result holds rows: these may differ for the same version. */
static bool holds_rows(const struct result *result) { return result->key.kind == RESULT_ROWS; }

/* Whether the result is of this version. Which row a key names, and which of equal rows come first,
 * depends on the primary key, which may change while all rows stay the same. */
static bool is_of(const struct result *result, const struct version *version)
{
    return result->serial == version->serial &&
           (!holds_rows(result) || result->basis == snapshot_mark_number(version->snapshot));
}

bool result_holds(const struct result *result, const struct version *version)
{
    int64_t age = clock_ms() - result->made_ms;
    if (!is_of(result, version))
        return false;
    if (result->key.kind == RESULT_INDEX)
        return age < STATE_KEPT_MS;
    return !asks_server(result) || age < result->mount->options->lease_ms;
}

static bool is_good(const struct result *result, const struct version *version)
{
    if (result->making)
        return is_of(result, version) && !result->stop;
    return result->rc == 0 && result_holds(result, version);
}

struct result *result_find(struct mount *mount, const struct result_key *key,
                           const struct version *version)
{
    struct result *result = mount->tree->results;
    while (result != NULL && !(same_key(&result->key, key) && is_good(result, version)))
        result = result->next;
    return used(result);
}

struct result *result_numbered(const struct mount *mount, uint64_t number)
{
    struct result *result = mount->tree->results;
    while (result != NULL && result->number != number)
        result = result->next;
    return result;
}

bool result_is_promised(const struct result *result, caller_id caller)
{
    return promise_find(&result->promises, caller) != NULL;
}

struct result *result_promised(struct mount *mount, const struct result_key *key, caller_id caller)
{
    struct result *result = mount->tree->results;
    while (result != NULL && !(same_key(&result->key, key) && !result->making && result->rc == 0 &&
                               result_is_promised(result, caller)))
        result = result->next;
    return used(result);
}

void result_promise(struct result *result, caller_id caller, bool repeat)
{
    if (repeat)
        promise_repeat(&result->promises, caller, NULL);
    else
        promise_tell(&result->promises, caller, NULL);
}

void result_take_back(struct result *result, caller_id caller)
{
    promise_keep(&result->promises, caller);
}

/* ---- results that are open ---- */

/* The first result may always be opened, however large. Small ones have some room left when large
 * ones are open. */
int result_open(struct result *result, struct error *error)
{
    enum { LEAST = 16 << 20, SMALL = 64 << 10 };
    struct mount *mount = result->mount;
    uint64_t half = mount->options->memory / 2, most = half > LEAST ? half : LEAST;
    uint64_t room = result->bytes.size <= SMALL ? most + most / 4 : most;
    uint64_t all = mount->tree->open_answer_bytes;
    if (result->opens == 0 && all > 0 && all + result->bytes.size > room)
        return error_set(error, -ENOBUFS,
                         "the answers that are open below query/ would take more than %" PRIu64
                         " MiB, half of memory=: close some, or mount with more memory",
                         most >> 20);
    if (result->opens++ > 0)
        return 0;
    mount->tree->open_answer_bytes += result->bytes.size;
    if (result->at != NULL)
        count_off(result);
    else if (is_asked(result))
        put_first(result_ref(result));
    return 0;
}

void result_close(struct result *result)
{
    if (--result->opens > 0)
        return;
    result->mount->tree->open_answer_bytes -= result->bytes.size;
    if (result->at == NULL)
        return;
    count_kept(result);
    if (is_asked(result))
        make_room(result->mount);
    else
        drop(result);
}

/* ---- making a result ---- */

void result_begin(struct result *result, struct subject *subject)
{
    result_ref(result);
    result->making = true;
    result->stop = result->mount->ending;
    result->subject = subject;
    result->version = version_ref(subject->current);
    result->serial = result->version->serial;
    result->basis = snapshot_mark_number(result->version->snapshot);
    result->mtime = result->version->mtime;
    /* The version's row groups must stay meanwhile. */
    subject->opens++;
    result->version->opens++;
}

static int make(struct result *result, struct buffer *rows, struct buffer *plan,
                struct error *error)
{
    const struct result_key *key = &result->key;
    if (key->kind == RESULT_INDEX)
        return index_state_write(&result->mount->search, result->version->snapshot,
                                 key->asked->question.column,
                                 (enum metric)key->asked->question.metric, rows, error);
    struct answer_way way = {key->format, &result->stop, result->last};
    return answer_make(&result->mount->search, result->version->snapshot, &key->asked->question,
                       &way, rows, plan, error);
}

/* Dates the result: the same bytes are the same file, other bytes a later one. Not everything that
 * has a part in the bytes changes the table's version. */
static void date(struct result *result)
{
    const struct result *before = NULL;
    for (const struct result *at = result->mount->tree->results; at != NULL; at = at->next)
        if (at != result && !at->making && same_key(&at->key, &result->key) &&
            (before == NULL || at->number > before->number))
            before = at;
    if (before != NULL && before->serial == result->serial &&
        before->contents == result->contents && before->bytes.size == result->bytes.size) {
        result->mtime = before->mtime;
        return;
    }
    int64_t now = result->made_at;
    if (asks_server(result) && now > result->mtime)
        result->mtime = now;
    if (before != NULL && before->mtime >= result->mtime)
        result->mtime = before->mtime + 1;
}

static void take_bytes(struct result *result, struct buffer *bytes)
{
    buffer_fit(bytes);
    result->bytes = *bytes;
    *bytes = (struct buffer){0};
    result->mount->tree->answer_bytes += result->bytes.size;
}

static void finish(struct result *result, int rc, struct buffer *bytes, const struct error *error)
{
    struct mount *mount = result->mount;
    struct subject *subject = result->subject;
    subject->opens--;
    result->version->opens--;
    if (rc == -ESTALE && subject->current == result->version)
        subject_doubt(subject);
    version_unref(result->version);
    result->version = NULL;
    result->subject = NULL;
    result->making = false;
    result->rc = rc;
    result->made_ms = clock_ms();
    result->made_at = time(NULL);
    if (rc < 0) {
        free(result->reason);
        result->reason = strdup(error->text[0] != '\0' ? error->text : strerror(-rc));
        if (rc != -EINTR && rc != -ESTALE)
            mount->count.query_failures++;
        if (rc == -EIO || rc == -ENOMEM)
            log_say(LOG_SAY_ERROR, "%s.%s/query: %s", subject->table->relation.schema,
                    subject->table->relation.name, error->text);
        if (result->at != NULL)
            drop(result);
        return;
    }
    take_bytes(result, bytes);
    if (holds_rows(result))
        date(result);
    if (result->at == NULL)
        return;
    mount->tree->result_bytes += result->bytes.size;
    if (is_asked(result))
        make_room(mount);
    else
        drop(result);
}

/* Keeps the plan of an answer, which its asker shows beside the answer. Takes the bytes. */
static void keep_plan(const struct result *rows, struct buffer *bytes)
{
    struct result_key key = rows->key;
    struct result *plan;
    if (!is_asked(rows))
        return;
    key.kind = RESULT_PLAN;
    key.path = key.asker->class->plan_path(key.asker);
    if (result_new(rows->mount, &key, &plan) < 0)
        return;
    take_bytes(plan, bytes);
    plan->serial = rows->serial;
    plan->mtime = rows->mtime;
    plan->made_ms = rows->made_ms;
    plan->made_at = rows->made_at;
    result_keep(plan);
    key.asker->class->show_plan(key.asker, plan);
    result_unref(plan);
}

static void settle(struct result *result, int rc, struct buffer *rows, struct buffer *plan,
                   const struct error *error)
{
    struct asker *asker = result->key.asker;
    bool over = rc != -ESTALE && rc != -EINTR;
    bool shows_plan = result->key.kind == RESULT_PLAN && plan->size > 0 && over;
    if (asker != NULL && over)
        asker->class->answered(asker, rc, error);
    finish(result, shows_plan ? 0 : rc, shows_plan ? plan : rows, error);
    if (asker != NULL && shows_plan)
        asker->class->show_plan(asker, result);
    else if (asker != NULL && plan->size > 0 && over)
        keep_plan(result, plan);
}

/* Called when it is the result's turn to try again, for a lock or for room. */
static void make_result_again(void *argument)
{
    struct result *result = argument;
    waiters_put(result->mount->waiters, &result->resuming, result_work_patiently, result);
}

/* Parks the result. -EINTR: it is not needed any more. */
static int park_result(struct result *result, bool for_lock)
{
    struct mount *mount = result->mount;
    pthread_mutex_lock(&mount->lock);
    int rc = result->stop ? -EINTR : 0;
    if (rc == 0 && for_lock)
        lock_turn_park(mount->place.line, &result->turn, make_result_again, result);
    else if (rc == 0)
        answer_room_park(&mount->search.room, &result->place, make_result_again, result);
    pthread_mutex_unlock(&mount->lock);
    return rc;
}

/* Makes the result. If that needs a thread that may wait, gives it to one; while it waits for a
 * lock, or for room, it needs no thread. */
static void make_result(struct result *result, bool waits)
{
    struct mount *mount = result->mount;
    struct buffer rows = {0}, plan = {0};
    struct error error = {""};
    struct patience patience = {.waits = waits,
                                .stop = &result->stop,
                                .turn = waits ? &result->turn : NULL,
                                .place = &result->place};
    patience_begin(&patience);
    int rc = answer_room_ask(&mount->search.room, &result->place, &error);
    if (rc == 0)
        rc = make(result, &rows, &plan, &error);
    if (holds_rows(result))
        result->contents = hash64(rows.data, rows.size);
    patience_end(&patience);
    if (!patience.parked)
        answer_room_over(&mount->search.room, &result->place);
    if (patience.refused) {
        buffer_clear(&rows);
        buffer_clear(&plan);
        error.text[0] = '\0';
        rc = patience.locked || patience.parked
                 ? park_result(result, patience.locked)
                 : waiters_add(mount->waiters, result_work_patiently, result);
        if (rc == 0)
            return;
    }
    lock_wait_over(&mount->lock_waits, &result->turn.wait);
    pthread_mutex_lock(&mount->lock);
    if (result->key.kind != RESULT_INDEX)
        mount->count.queries++;
    settle(result, rc, &rows, &plan, &error);
    wait_call(&mount->waits, &result->waiting);
    result_unref(result);
    pthread_mutex_unlock(&mount->lock);
    buffer_clear(&rows);
    buffer_clear(&plan);
}

void result_work(void *result) { make_result(result, false); }

void result_work_patiently(void *result) { make_result(result, true); }

void result_stop(struct result *result)
{
    result->stop = true;
    lock_turn_call(result->mount->place.line, &result->turn);
    answer_room_call(&result->mount->search.room, &result->place);
}

int result_cancel(struct result *result)
{
    struct error error = {"no memory for a query"};
    finish(result, -ENOMEM, &(struct buffer){0}, &error);
    result_unref(result);
    return -ENOMEM;
}

void result_stop_all(struct mount *mount)
{
    for (struct result *result = mount->tree->results; result != NULL; result = result->next)
        result_stop(result);
}

void result_forget_all(struct mount *mount)
{
    while (mount->tree->results != NULL)
        drop(mount->tree->results);
}

int result_errno(int rc)
{
    return rc == -EINVAL || rc == -EINTR || rc == -EPERM || rc == -EFBIG || rc == -ENOBUFS
               ? rc
               : user_errno(rc);
}
