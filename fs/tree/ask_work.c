#include "fs/tree/ask_parts.h"

#include "codec/json_text.h"
#include "fs/base/patience.h"
#include "fs/search/answer.h"

#include <errno.h>

enum { TRIES = 3 }; /* if the table changes during the answer */

static bool is_blank(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

/* Takes the next question, unless one is at hand. False: there is none, and the thread must leave.
 * *rc: what is wrong with the question. Called without the lock. */
static bool next_question(struct ask *ask, int *rc, struct error *error)
{
    struct buffer line = {0};
    bool there = true, blank = true;
    *rc = 0;
    while (there && blank && !ask->parsed) {
        const char *text = ask->lent;
        size_t size = 0;
        line.size = 0;
        pthread_mutex_lock(&ask->mount->lock);
        if (ask->lent_size > 0 && ask_is_full(ask))
            ask_put_off_lent(ask);
        bool lent = ask->lent_size > 0;
        if (!lent) {
            there = !ask->stop && ask_take_line(ask, &line);
            text = (char *)line.data;
            size = line.size;
        }
        if (!there) {
            ask->state = IDLE;
            wait_call(&ask->mount->waits, &ask->waiting);
        }
        pthread_mutex_unlock(&ask->mount->lock);
        if (lent) {
            size = (size_t)((const char *)memchr(text, '\n', ask->lent_size) - text);
            ask->question_size = size;
            ask->lent += size + 1;
            ask->lent_size -= size + 1;
        }
        blank = is_blank(text, size);
        if (there && !blank) {
            *rc = question_parse_json(text, size, &ask->question, error);
            ask->parsed = *rc == 0;
            ask_begin_anew(ask);
        }
    }
    buffer_clear(&line);
    return there;
}

/* Puts {"error":"…"} in the answer's place; nothing if there is no memory for it. */
static void put_error(struct buffer *out, int rc, const struct error *error)
{
    const char *text = error->text[0] != '\0' ? error->text : strerror(-rc);
    out->size = 0;
    int put = buffer_append_text(out, "{\"error\":");
    if (put == 0)
        put = json_words(out, text);
    if (put == 0)
        put = buffer_append_text(out, "}\n");
    if (put < 0)
        out->size = 0;
}

/* Appends the answer behind what has not been read yet. Takes the buffer's contents. `lost`: there
 * should be an answer, but there is none. */
static void append_answer(struct ask *ask, struct buffer *answer, bool lost)
{
    ask->mount->tree->unread += answer->size;
    if (lost) {
        ask_give_up(ask, -ENOMEM);
    } else if (ask->read == ask->out.size) {
        buffer_clear(&ask->out);
        buffer_fit(answer);
        ask->out = *answer;
        *answer = (struct buffer){0};
        ask->read = 0;
    } else if (buffer_append(&ask->out, answer->data, answer->size) < 0) {
        ask->mount->tree->unread -= answer->size;
        ask_give_up(ask, -ENOMEM);
    }
}

/* Gives the answer to the reads. Takes the buffer's contents. False: there is no room for it yet,
 * so its question is put off. `failed`: it is only the reason of a failure. */
static bool give(struct ask *ask, struct buffer *answer, bool failed)
{
    pthread_mutex_lock(&ask->mount->lock);
    bool first = ask->lacks > 0 || answer->size <= ASK_SMALL_AT_MOST ||
                 ask_first_in_line(ask->mount) == NULL;
    ask->mount->tree->unread -= ask->lacks;
    ask->lacks = 0;
    bool put = failed || ask->stop || (first && ask_has_room(ask, answer->size));
    if (put) {
        ask->question_size = 0;
        ask->refused = false;
        ask_count_anew(ask);
        append_answer(ask, answer, failed && answer->size == 0);
    } else {
        ask_put_off_large(ask, answer->size);
    }
    wait_call(&ask->mount->waits, &ask->waiting);
    pthread_mutex_unlock(&ask->mount->lock);
    return put;
}

static void leave(struct mount *mount, struct subject *subject, struct version *version, int rc,
                  bool answered)
{
    subject->opens--;
    version->opens--;
    if (rc == -ESTALE && subject->current == version)
        subject_doubt(subject);
    mount->count.queries += answered;
    version_unref(version);
}

static void converse(struct ask *ask, bool patient);

static void run_patiently(void *ask) { converse(ask, true); }

static void converse_again(void *argument)
{
    struct ask *ask = argument;
    waiters_put(ask->mount->waiters, &ask->resuming, run_patiently, ask);
}

/* Gives the question to a thread that may wait for the server, or lets it wait for room: -EAGAIN.
 */
static int hand_over(struct ask *ask, bool for_room, struct error *error)
{
    struct mount *mount = ask->mount;
    pthread_mutex_lock(&mount->lock);
    int rc = ask->lent_size > 0 ? ask_keep_lent(ask) : 0;
    ask_count_anew(ask);
    if (rc == 0 && for_room && !ask->halted)
        answer_room_park(&mount->search.room, &ask->place, converse_again, ask);
    else if (rc == 0)
        rc = waiters_add(mount->waiters, run_patiently, ask);
    pthread_mutex_unlock(&mount->lock);
    return rc < 0 ? error_set(error, rc, "no memory") : -EAGAIN;
}

/* Answers the question at hand; -EAGAIN: the question waits, or another thread goes on with it. */
static int answer(struct ask *ask, bool patient, struct buffer *out, struct error *error)
{
    struct mount *mount = ask->mount;
    int rc = 0, format = format_find("jsonl", 5);
    do {
        out->size = 0;
        pthread_mutex_lock(&mount->lock);
        struct subject *subject = ask->stop ? NULL : ask_subject(ask);
        rc = ask_need_version(ask, subject, error);
        struct version *version = rc == 0 ? version_ref(subject->current) : NULL;
        if (rc == 0) { /* the version's row groups must stay meanwhile */
            subject->opens++;
            version->opens++;
        } else { /* the thread that goes on with it may begin once the lock is free */
            answer_room_over(&mount->search.room, &ask->place);
        }
        pthread_mutex_unlock(&mount->lock);
        if (rc < 0)
            return rc;
        struct patience patience = {.waits = patient, .stop = &ask->halted, .place = &ask->place};
        patience_begin(&patience);
        struct answer_way way = {format, &ask->halted, ask->tries + 1 >= TRIES};
        rc = answer_room_ask(&mount->search.room, &ask->place, error);
        if (rc == 0)
            rc = answer_make(&mount->search, version->snapshot, &ask->question, &way, out, NULL,
                             error);
        patience_end(&patience);
        if (!patience.parked)
            answer_room_over(&mount->search.room, &ask->place);
        pthread_mutex_lock(&mount->lock);
        leave(mount, subject, version, rc, !patience.refused);
        pthread_mutex_unlock(&mount->lock);
        if (patience.refused)
            return hand_over(ask, patience.parked, error);
        rc = rc == -EAGAIN ? -EIO : rc; /* -EAGAIN has a meaning of our own here */
        ask->refreshed = false;
    } while (rc == -ESTALE && ++ask->tries < TRIES);
    return rc;
}

/* Whether the question at hand is to be answered. If the read that waited for it was interrupted,
 * it is put off. */
static bool is_wanted(struct ask *ask)
{
    pthread_mutex_lock(&ask->mount->lock);
    bool wanted = !ask->halted || ask->stop || ask->waiting.first != NULL;
    if (!ask->stop)
        ask->halted = false;
    if (!wanted) {
        answer_room_over(&ask->mount->search.room, &ask->place);
        ask_put_off(ask);
    }
    pthread_mutex_unlock(&ask->mount->lock);
    return wanted;
}

static bool was_interrupted(const struct ask *ask, int rc)
{
    return rc == -EINTR && ask->halted && !ask->stop;
}

static void converse(struct ask *ask, bool patient)
{
    struct mount *mount = ask->mount;
    struct buffer out = {0};
    struct error error = {""};
    int rc;
    while (next_question(ask, &rc, &error)) {
        if (rc == 0 && !is_wanted(ask))
            break;
        if (rc == 0 && !patient && question_asks_server(&ask->question))
            rc = hand_over(ask, false, &error);
        if (rc == 0)
            rc = ask->refused ? ask_no_room(ask, &error) : answer(ask, patient, &out, &error);
        if (rc == -EAGAIN) /* another thread goes on, and may have begun */
            break;
        if (was_interrupted(ask, rc))
            continue; /* it goes on if another read waits for the answer by now */
        bool failed = rc < 0;
        if (failed) {
            mount->count.query_failures++;
            put_error(&out, rc, &error);
        }
        if (!give(ask, &out, failed))
            break;
        if (ask->parsed)
            question_clear(&ask->question);
        ask->parsed = false;
        error.text[0] = '\0';
    }
    buffer_clear(&out);
    if (rc == -EAGAIN)
        return;
    pthread_mutex_lock(&mount->lock);
    ask_unref(ask);
    pthread_mutex_unlock(&mount->lock);
}

static void run(void *ask) { ask_work(ask); }

int ask_begin_work(struct ask *ask) { return workers_add(ask->mount->queriers, run, ask, 0); }

void ask_work(struct ask *ask) { converse(ask, false); }

int ask_work_later(struct ask *ask)
{
    struct mount *mount = ask->mount;
    pthread_mutex_lock(&mount->lock);
    int rc = ask->lent_size > 0 ? ask_keep_lent(ask) : 0;
    ask->lent_size = 0; /* it was kept; if not, the writer is told so */
    if (rc < 0 || ask_begin_work(ask) < 0) {
        ask->state = IDLE;
        wait_call(&mount->waits, &ask->waiting); /* the next read goes on with what was taken */
        ask_unref(ask);
    }
    pthread_mutex_unlock(&mount->lock);
    return rc;
}

int ask_go_on(struct ask *ask)
{
    ask->state = WORKING;
    ask->rc = 0;
    ask->mount->tree->unread += ask->lacks;
    int rc = ask_begin_work(ask_ref(ask));
    if (rc == 0)
        return 0;
    ask->mount->tree->unread -= ask->lacks;
    ask->state = IDLE;
    ask_unref(ask);
    return rc;
}
