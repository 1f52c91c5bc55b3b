#include "fs/tree/ask.h"

#include "codec/clock.h"
#include "codec/json_text.h"
#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "fs/base/waiters.h"
#include "fs/search/answer.h"
#include "fs/tables/job_wanted.h"
#include "fs/tables/listing.h"
#include "fs/tree/result.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

enum {
    LINE_AT_MOST = 64 << 20,
    WAITING_AT_MOST = 128 << 20, /* bytes of questions */
    /* bytes of answers; beyond that the next question waits until they are read */
    UNREAD_AT_MOST = 16 << 20,
    /* an answer for which there is always room, one in each conversation */
    SMALL_AT_MOST = 64 << 10,
    TRIES = 3, /* if the table changes during the answer */
    /* there is no room if for this long nothing is read of the answers that take it */
    STUCK_MS = 5000
};

enum ask_state {
    IDLE,    /* nothing is outstanding, or too much is unread: the next read goes on with it */
    WORKING, /* a thread answers */
    WAITING  /* a question waits for a refresh, or the catalog */
};

struct ask {
    atomic_uint refs;
    struct mount *mount;
    struct node *node; /* NULL once closed */
    struct ask *next;  /* in the mount's list */
    atomic_bool stop;  /* no further question is answered */
    /* the answer that is being made ends: no read waits for it, or `stop` is set */
    atomic_bool halted;
    enum ask_state state;

    uint64_t counted; /* bytes counted in the mount's `written` */
    struct buffer in; /* questions, one a line; the last line may not be whole */
    size_t taken;     /* bytes of `in` already taken */
    size_t line_end;  /* behind the last line break */
    struct buffer out;
    size_t read; /* bytes of `out` already read */
    int rc;      /* -ENOMEM: the next read is told, and all reads if `stop` is set */

    struct wait waiting;       /* reads that wait */
    struct answer_place place; /* the place in which an answer waits for room, without a thread */
    struct waiters_task resuming;

    /* While IDLE: the size of the answer for which there was no room, so that its question was put
     * off. While WORKING: so many bytes are kept free for the answer, and counted in the mount's
     * `unread`. */
    size_t lacks;
    int64_t lacks_since; /* clock_ms() when a read began to wait for this room; 0: none waits */
    bool refused;        /* there will be no room */

    /* While WAITING, for a refresh since these counts, or for the catalog: */
    struct waiting version;    /* hangs on the list that it waits on */
    struct subject *waits_for; /* NULL: the catalog */
    unsigned refreshes_seen, failures_seen;
    unsigned listing_seen; /* listing_now() when the catalog was wanted */

    /* While WORKING these belong to the thread that answers; while IDLE they are the question that
     * it has put off: */
    const char *lent; /* the rest of what ask_write was given, in whole lines: taken first */
    size_t lent_size;
    bool parsed;
    struct question question;
    _Atomic size_t question_size; /* size of the question's line */
    int tries;
    bool looked_again;    /* the catalog was read again since the relation was found to have gone */
    uint32_t relation;    /* the relation whose refresh this question has waited for; 0: none yet */
    uint32_t gone;        /* the last relation of this name that was found to have gone; 0: none */
    bool refreshed;       /* the current version is good for this question, leased or not */
    int failed;           /* the errno of what it has waited for, if that has failed */
    struct error failure; /* the reason of that */
};

static struct ask *ask_ref(struct ask *ask)
{
    atomic_fetch_add(&ask->refs, 1);
    return ask;
}

static void note_read(struct mount *mount, uint64_t bytes)
{
    mount->tree->unread -= bytes;
    if (bytes > 0)
        mount->tree->unread_ms = clock_ms();
}

static void ask_unref(struct ask *ask)
{
    if (atomic_fetch_sub(&ask->refs, 1) != 1)
        return;
    if (ask->parsed)
        question_clear(&ask->question);
    note_read(ask->mount, ask->out.size - ask->read + (ask->state != IDLE ? ask->lacks : 0));
    written_note(&ask->mount->written, &ask->counted, 0);
    buffer_clear(&ask->in);
    buffer_clear(&ask->out);
    free(ask);
}

/* Stops what is being answered. */
static void halt(struct ask *ask)
{
    ask->halted = true;
    answer_room_call(&ask->mount->search.room, &ask->place);
}

int ask_new(struct mount *mount, struct node *node, struct ask **out)
{
    if (mount->tree->ask_count >= ASKS_AT_MOST) {
        log_say(LOG_SAY_ERROR, "query/ask cannot be opened: %d are open in this mount, close some",
                ASKS_AT_MOST);
        return -ENOSPC;
    }
    struct ask *ask = calloc(1, sizeof *ask);
    if (ask == NULL)
        return -ENOMEM;
    mount->tree->ask_count++;
    ask->refs = 1;
    ask->mount = mount;
    ask->node = node;
    ask->next = mount->tree->asks;
    mount->tree->asks = ask;
    *out = ask;
    return 0;
}

void ask_close(struct ask *ask)
{
    struct ask **at = &ask->mount->tree->asks;
    while (*at != ask)
        at = &(*at)->next;
    *at = ask->next;
    ask->mount->tree->ask_count--;
    ask->node = NULL;
    ask->stop = true;
    halt(ask);
    wait_take_off(&ask->version);
    if (ask->state == WAITING) /* there is no thread that could drop this reference */
        ask_unref(ask);
    ask_unref(ask);
}

struct wait *ask_waiting(struct ask *ask) { return &ask->waiting; }

/* Whether no further question is begun. A reader that waits for an answer, and has read all before,
 * is not held up, however little other readers read. */
static bool is_full(const struct ask *ask)
{
    uint64_t unread = ask->out.size - ask->read, all = ask->mount->tree->unread;
    bool is_read = unread == 0 && ask->waiting.first != NULL;
    return unread > UNREAD_AT_MOST || (!is_read && all > ask->mount->options->memory / 4);
}

static uint64_t unread_most(const struct mount *mount)
{
    enum { LEAST = 32 << 20 };
    uint64_t half = mount->options->memory / 2;
    return half > LEAST ? half : LEAST;
}

/* Whether an answer of so many bytes may be kept until it is read. A small one always may, one in
 * each conversation: what other readers leave unread does not hold it up. Beyond a quarter of
 * memory= an answer is kept only if a read waits for it. */
static bool has_room(const struct ask *ask, size_t size)
{
    uint64_t all = ask->mount->tree->unread;
    bool begins = all <= ask->mount->options->memory / 4 || ask->waiting.first != NULL;
    return all == 0 || (begins && all + size <= unread_most(ask->mount)) ||
           (ask->out.size == ask->read && size <= SMALL_AT_MOST);
}

/* Forgets what has been read, once it is more than the rest. */
static void forget_read(struct ask *ask)
{
    struct buffer rest = {0};
    size_t size = ask->out.size - ask->read;
    if (ask->read <= size ||
        (size > 0 && buffer_append(&rest, ask->out.data + ask->read, size) < 0))
        return;
    buffer_clear(&ask->out);
    ask->out = rest;
    ask->read = 0;
}

/* Counts the bytes of questions anew. */
static void count_anew(struct ask *ask)
{
    written_note(&ask->mount->written, &ask->counted, ask->in.size + ask->question_size);
}

static void work(struct ask *ask, bool patient);

static void run(void *ask) { ask_work(ask); }

/* ---- questions ---- */

/* Copies what has been lent and not taken yet, in front of the rest. */
static int keep_lent(struct ask *ask)
{
    struct buffer all = {0};
    int rc = buffer_append(&all, ask->lent, ask->lent_size);
    if (rc == 0)
        rc = buffer_append(&all, ask->in.data + ask->taken, ask->in.size - ask->taken);
    if (rc < 0) {
        buffer_clear(&all);
        return rc;
    }
    ask->line_end = ask->lent_size + (ask->line_end > ask->taken ? ask->line_end - ask->taken : 0);
    buffer_clear(&ask->in);
    ask->in = all;
    ask->taken = 0;
    ask->lent_size = 0;
    count_anew(ask);
    return 0;
}

/* No further question is answered, since an answer in the middle would be missing. */
static void give_up(struct ask *ask, int rc)
{
    ask->rc = rc;
    ask->stop = true;
    ask->lent_size = 0;
}

/* Too much is unread to answer what has been lent: it waits with the other questions. */
static void put_off_lent(struct ask *ask)
{
    int rc = keep_lent(ask);
    if (rc < 0)
        give_up(ask, rc);
}

/* Forgets what has been taken, once it is more than the rest. */
static void forget_taken(struct ask *ask)
{
    size_t rest = ask->in.size - ask->taken;
    if (ask->taken <= rest)
        return;
    memmove(ask->in.data, ask->in.data + ask->taken, rest);
    ask->line_end = ask->line_end > ask->taken ? ask->line_end - ask->taken : 0;
    ask->taken = 0;
    ask->in.size = rest;
}

static int append(struct ask *ask, const char *bytes, size_t size, struct error *error)
{
    forget_taken(ask);
    const char *last = memrchr(bytes, '\n', size);
    size_t unfinished = ask->in.size - (ask->line_end > ask->taken ? ask->line_end : ask->taken);
    const char *first = last != NULL ? memchr(bytes, '\n', size) : bytes + size;
    if (unfinished + (size_t)(first - bytes) > LINE_AT_MOST)
        return error_set(error, -EFBIG, "a line of ask is longer than %d MiB", LINE_AT_MOST >> 20);
    if (ask->in.size - ask->taken + size > WAITING_AT_MOST)
        return error_set(error, -ENOBUFS, "more than %d MiB of questions wait in one conversation",
                         WAITING_AT_MOST >> 20);
    int rc = written_change(&ask->mount->written, &ask->counted,
                            ask->in.size + size + ask->question_size, error);
    if (rc == 0)
        rc = buffer_append(&ask->in, bytes, size);
    count_anew(ask);
    if (rc == 0 && last != NULL)
        ask->line_end = ask->in.size - size + (size_t)(last - bytes) + 1;
    return rc;
}

int ask_write(struct ask *ask, const char *bytes, size_t size, bool *work)
{
    struct mount *mount = ask->mount;
    struct error error = {""};
    int rc = 0;
    *work = false;
    pthread_mutex_lock(&mount->lock);
    bool idle = ask->state == IDLE && ask->lacks == 0 && !is_full(ask);
    if (ask->rc < 0 && ask->stop) {
        rc = error_set(&error, ask->rc, "there was no memory: this conversation is over");
    } else if (idle && ask->taken == ask->in.size && size > 0 && bytes[size - 1] == '\n') {
        ask->lent = bytes; /* most often one line: there is no need to copy it */
        ask->lent_size = size;
        *work = true;
    } else {
        rc = append(ask, bytes, size, &error);
        *work = rc == 0 && idle && ask->line_end > ask->taken;
    }
    if (*work) {
        ask->state = WORKING;
        ask->rc = 0;
        ask_ref(ask);
    }
    if (rc < 0)
        node_keep_reason(ask->node, 0, error.text);
    pthread_mutex_unlock(&mount->lock);
    return rc;
}

/* Takes the next line; false: there is none. */
static bool take_line(struct ask *ask, struct buffer *line)
{
    if (ask->line_end <= ask->taken || is_full(ask))
        return false;
    const uint8_t *from = ask->in.data + ask->taken;
    const uint8_t *stop = memchr(from, '\n', ask->line_end - ask->taken);
    if (buffer_append(line, from, (size_t)(stop - from)) < 0) {
        ask->rc = -ENOMEM;
        return false;
    }
    ask->taken += (size_t)(stop - from) + 1;
    if (ask->taken == ask->in.size) {
        buffer_clear(&ask->in);
        ask->taken = ask->line_end = 0;
    }
    ask->question_size = line->size;
    count_anew(ask);
    return true;
}

static bool is_blank(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

/* Nothing has been tried for the question at hand. */
static void begin_anew(struct ask *ask)
{
    ask->tries = 0;
    ask->looked_again = ask->refreshed = false;
    ask->relation = ask->gone = 0;
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
        if (ask->lent_size > 0 && is_full(ask))
            put_off_lent(ask);
        bool lent = ask->lent_size > 0;
        if (!lent) {
            there = !ask->stop && take_line(ask, &line);
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
            begin_anew(ask);
        }
    }
    buffer_clear(&line);
    return there;
}

/* ---- answers ---- */

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

/* The error if unread answers leave no room. */
static int no_room(const struct ask *ask, struct error *error)
{
    return error_set(error, -ENOBUFS,
                     "with the answers of other conversations, which nobody goes on reading, this "
                     "one would take more than %" PRIu64
                     " MiB, half of memory=: read or close them, and ask again",
                     unread_most(ask->mount) >> 20);
}

/* Puts the question at hand off: it is answered again once a read waits for it. */
static void put_off(struct ask *ask)
{
    if (ask->lent_size > 0)
        put_off_lent(ask);
    ask->mount->tree->unread -= ask->lacks;
    ask->state = IDLE;
    begin_anew(ask);
}

/* Whether a question has stopped because too much was unread. */
static bool has_stopped(const struct ask *ask)
{
    return ask->state == IDLE && !ask->stop && (ask->parsed || ask->line_end > ask->taken);
}

/* The conversation whose read has waited longest for room; NULL: none. */
static struct ask *first_in_line(const struct mount *mount)
{
    struct ask *first = NULL;
    for (struct ask *ask = mount->tree->asks; ask != NULL; ask = ask->next)
        if (ask->lacks > 0 && ask->waiting.first != NULL && has_stopped(ask) &&
            (first == NULL || ask->lacks_since < first->lacks_since))
            first = ask;
    return first;
}

/* There is no room for the answer, of `size` bytes: it is made again when there is. */
static void put_off_large(struct ask *ask, size_t size)
{
    put_off(ask);
    ask->lacks = size;
    ask->lacks_since = ask->waiting.first != NULL ? clock_ms() : 0;
}

/* Appends the answer behind what has not been read yet. Takes the buffer's contents. `lost`: there
 * should be an answer, but there is none. */
static void append_answer(struct ask *ask, struct buffer *answer, bool lost)
{
    ask->mount->tree->unread += answer->size;
    if (lost) {
        give_up(ask, -ENOMEM);
    } else if (ask->read == ask->out.size) {
        buffer_clear(&ask->out);
        buffer_fit(answer);
        ask->out = *answer;
        *answer = (struct buffer){0};
        ask->read = 0;
    } else if (buffer_append(&ask->out, answer->data, answer->size) < 0) {
        ask->mount->tree->unread -= answer->size;
        give_up(ask, -ENOMEM);
    }
}

/* Gives the answer to the reads. Takes the buffer's contents. False: there is no room for it yet,
 * so its question is put off. `failed`: it is only the reason of a failure. */
static bool give(struct ask *ask, struct buffer *answer, bool failed)
{
    pthread_mutex_lock(&ask->mount->lock);
    bool first =
        ask->lacks > 0 || answer->size <= SMALL_AT_MOST || first_in_line(ask->mount) == NULL;
    ask->mount->tree->unread -= ask->lacks;
    ask->lacks = 0;
    bool put = failed || ask->stop || (first && has_room(ask, answer->size));
    if (put) {
        ask->question_size = 0;
        ask->refused = false;
        count_anew(ask);
        append_answer(ask, answer, failed && answer->size == 0);
    } else {
        put_off_large(ask, answer->size);
    }
    wait_call(&ask->mount->waits, &ask->waiting);
    pthread_mutex_unlock(&ask->mount->lock);
    return put;
}

static int go_on(struct ask *ask)
{
    ask->state = WORKING;
    ask->rc = 0;
    ask->mount->tree->unread += ask->lacks;
    int rc = workers_add(ask->mount->queriers, run, ask_ref(ask), 0);
    if (rc == 0)
        return 0;
    ask->mount->tree->unread -= ask->lacks;
    ask->state = IDLE;
    ask_unref(ask);
    return rc;
}

/* Some bytes have been read, or reading has stopped: conversations that wait for room go on, one
 * after another. */
static void serve_line(struct mount *mount)
{
    int64_t now = clock_ms();
    struct ask *ask;
    while ((ask = first_in_line(mount)) != NULL) {
        int64_t since =
            mount->tree->unread_ms > ask->lacks_since ? mount->tree->unread_ms : ask->lacks_since;
        bool room = has_room(ask, ask->lacks);
        if (!room && now - since < STUCK_MS)
            break;
        ask->refused = !room;
        if (!room)
            ask->lacks = 0;
        if (go_on(ask) < 0)
            break;
    }
}

/* There is nothing to read. -EAGAIN: an answer is being made, now that a read waits for it. */
static int wait_for_answer(struct ask *ask)
{
    if (!has_stopped(ask))
        return ask->state != IDLE && !ask->stop ? -EAGAIN : 0;
    if (ask->lacks > 0) { /* it gets its turn once the read is parked */
        if (ask->lacks_since == 0)
            ask->lacks_since = clock_ms();
        return -EAGAIN;
    }
    int rc = go_on(ask);
    return rc < 0 ? rc : -EAGAIN;
}

int ask_read(struct ask *ask, size_t size, struct buffer *out)
{
    size_t there = ask->out.size - ask->read;
    if (there == 0 && ask->rc < 0) {
        int rc = ask->rc;
        ask->rc = ask->stop ? rc : 0;
        return rc;
    }
    if (there == 0)
        return wait_for_answer(ask);
    size_t n = size < there ? size : there;
    int rc = buffer_append(out, ask->out.data + ask->read, n);
    if (rc < 0)
        return rc;
    ask->read += n;
    note_read(ask->mount, n);
    forget_read(ask);
    if (has_stopped(ask) && ask->lacks == 0 && !is_full(ask))
        (void)go_on(ask); /* if this fails the next read goes on */
    serve_line(ask->mount);
    return 0;
}

/* ---- the version ---- */

static struct subject *subject_of(const struct ask *ask)
{
    return ask->node != NULL ? node_rows(ask->mount, ask->node) : NULL;
}

/* What a conversation waits for has come, or failed. */
struct news {
    bool come, failed, refreshed;
    int rc;
    const struct error *error;
};

static struct news news_for(const struct ask *ask)
{
    const struct mount *mount = ask->mount;
    const struct subject *subject = ask->waits_for;
    if (subject == NULL)
        return (struct news){.come = listing_is_after(mount, ask->listing_seen),
                             .failed = mount->catalog_failures != ask->failures_seen,
                             .rc = mount->catalog_rc,
                             .error = &mount->catalog_error};
    bool refreshed = (int)(subject->refreshes - ask->refreshes_seen) > 0;
    return (struct news){.come = refreshed || subject_leased(subject),
                         .failed = subject->failures != ask->failures_seen,
                         .refreshed = refreshed,
                         .rc = subject->rc,
                         .error = &subject->error};
}

static struct wait *what_it_waits_for(const struct ask *ask)
{
    return ask->waits_for != NULL ? &ask->waits_for->waiting : &ask->mount->waiting;
}

static struct wait *try_again(struct waiting *waiting)
{
    struct ask *ask = (struct ask *)((char *)waiting - offsetof(struct ask, version));
    struct news news = news_for(ask);
    if (!news.come && !news.failed)
        return what_it_waits_for(ask);
    ask->state = WORKING;
    if (workers_add(ask->mount->queriers, run, ask, 0) < 0) {
        ask->state = WAITING; /* it is tried again the next time */
        return what_it_waits_for(ask);
    }
    ask->refreshed = news.refreshed;
    ask->failed =
        news.failed && !news.refreshed && (ask->waits_for != NULL || !news.come) ? news.rc : 0;
    ask->failure = *news.error;
    ask->waits_for = NULL;
    return NULL;
}

static void begin_waiting(struct ask *ask)
{
    ask->state = WAITING;
    ask->version.try = try_again;
    wait_hang(what_it_waits_for(ask), &ask->version);
}

/* The name may belong to another relation by now, or to a new one: -EAGAIN, a later catalog is
 * wanted. */
static int look_again(struct ask *ask, struct error *error)
{
    struct mount *mount = ask->mount;
    if (ask->lent_size > 0 && keep_lent(ask) < 0)
        return error_set(error, -ENOMEM, "no memory");
    count_anew(ask);
    ask->looked_again = true;
    ask->waits_for = NULL;
    ask->listing_seen = listing_now(mount);
    ask->failures_seen = mount->catalog_failures;
    begin_waiting(ask);
    if (!mount->catalog_running || !mount->catalog_wanted)
        listing_check(mount);
    return -EAGAIN;
}

/* 0: the current version may be asked. -EAGAIN: the refresh that must come first is wanted; after
 * it the conversation goes on with this question. */
static int need_version(struct ask *ask, struct subject *subject, struct error *error)
{
    int rc = ask->failed;
    ask->failed = 0;
    bool gone = rc == -ENOENT && ask->relation != ask->gone;
    if (gone) {
        ask->gone = ask->relation;
        ask->looked_again = false;
    }
    if ((gone || (rc == 0 && subject == NULL)) && !ask->looked_again && !ask->stop)
        return look_again(ask, error);
    if (rc < 0) {
        *error = ask->failure;
        return rc;
    }
    if (subject == NULL)
        return error_set(error, -ENOENT, "the table is not there any more");
    if ((ask->refreshed || subject_leased(subject)) && subject->current != NULL) {
        job_renew(subject);
        return 0;
    }
    if (ask->lent_size > 0 && keep_lent(ask) < 0)
        return error_set(error, -ENOMEM, "no memory");
    count_anew(ask);
    ask->waits_for = subject;
    ask->relation = subject->table->relation.oid;
    ask->refreshes_seen = subject->refreshes + subject->refreshing;
    ask->failures_seen = subject->failures;
    begin_waiting(ask);
    job_want_refresh(subject, -1);
    return -EAGAIN;
}

void ask_tend(struct mount *mount)
{
    serve_line(mount);
    for (struct ask *ask = mount->tree->asks; ask != NULL; ask = ask->next)
        if (ask->state == WAITING) /* there may have been no thread to go on with it */
            wait_make_due(&mount->waits, &ask->version);
    wait_try_due(&mount->waits);
    for (struct ask *ask = mount->tree->asks; ask != NULL; ask = ask->next)
        if (ask->state == WAITING && ask->waits_for != NULL) {
            ask->waits_for->wanted_at = clock_ms();
            if (!ask->waits_for->running)
                job_want_refresh(ask->waits_for, -1);
        } else if (ask->state == WAITING && !mount->catalog_running && !news_for(ask).come) {
            listing_check(mount); /* there was no thread to ask for the catalog, either */
        }
}

void ask_stop_all(struct mount *mount)
{
    for (struct ask *ask = mount->tree->asks; ask != NULL; ask = ask->next) {
        ask->stop = true;
        halt(ask);
    }
}

/* A question that waits for a refresh has no thread that could put it off: this function does so.
 */
void ask_interrupted(struct ask *ask)
{
    if (ask->waiting.first != NULL)
        return;
    halt(ask);
    ask->lacks_since = 0;
    if (ask->state != WAITING)
        return;
    wait_take_off(&ask->version);
    put_off(ask);
    ask_unref(ask);
}

/* ---- the thread that answers ---- */

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

static void run_patiently(void *ask) { work(ask, true); }

static void resume(void *argument)
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
    int rc = ask->lent_size > 0 ? keep_lent(ask) : 0;
    count_anew(ask);
    if (rc == 0 && for_room && !ask->halted)
        answer_room_park(&mount->search.room, &ask->place, resume, ask);
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
        struct subject *subject = ask->stop ? NULL : subject_of(ask);
        rc = need_version(ask, subject, error);
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

int ask_work_later(struct ask *ask)
{
    struct mount *mount = ask->mount;
    pthread_mutex_lock(&mount->lock);
    int rc = ask->lent_size > 0 ? keep_lent(ask) : 0;
    ask->lent_size = 0; /* it was kept; if not, the writer is told so */
    if (rc < 0 || workers_add(mount->queriers, run, ask, 0) < 0) {
        ask->state = IDLE;
        wait_call(&mount->waits, &ask->waiting); /* the next read goes on with what was taken */
        ask_unref(ask);
    }
    pthread_mutex_unlock(&mount->lock);
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
        put_off(ask);
    }
    pthread_mutex_unlock(&ask->mount->lock);
    return wanted;
}

static bool was_interrupted(const struct ask *ask, int rc)
{
    return rc == -EINTR && ask->halted && !ask->stop;
}

static void work(struct ask *ask, bool patient)
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
            rc = ask->refused ? no_room(ask, &error) : answer(ask, patient, &out, &error);
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

void ask_work(struct ask *ask) { work(ask, false); }
