#include "fs/tree/ask_parts.h"

#include "codec/clock.h"
#include "fs/base/log.h"

#include <errno.h>
#include <stdlib.h>

enum {
    LINE_AT_MOST = 64 << 20,
    WAITING_AT_MOST = 128 << 20 /* bytes of questions */
};

struct ask *ask_ref(struct ask *ask)
{
    atomic_fetch_add(&ask->refs, 1);
    return ask;
}

void ask_unref(struct ask *ask)
{
    if (atomic_fetch_sub(&ask->refs, 1) != 1)
        return;
    if (ask->parsed)
        question_clear(&ask->question);
    ask_note_read(ask->mount, ask->out.size - ask->read + (ask->state != IDLE ? ask->lacks : 0));
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

void ask_count_anew(struct ask *ask)
{
    written_note(&ask->mount->written, &ask->counted, ask->in.size + ask->question_size);
}

void ask_begin_anew(struct ask *ask)
{
    ask->tries = 0;
    ask->looked_again = ask->refreshed = false;
    ask->relation = ask->gone = 0;
}

void ask_put_off(struct ask *ask)
{
    if (ask->lent_size > 0)
        ask_put_off_lent(ask);
    ask->mount->tree->unread -= ask->lacks;
    ask->state = IDLE;
    ask_begin_anew(ask);
}

bool ask_has_stopped(const struct ask *ask)
{
    return ask->state == IDLE && !ask->stop && (ask->parsed || ask->line_end > ask->taken);
}

/* ---- questions, as they are written ---- */

int ask_keep_lent(struct ask *ask)
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
    ask_count_anew(ask);
    return 0;
}

void ask_give_up(struct ask *ask, int rc)
{
    ask->rc = rc;
    ask->stop = true;
    ask->lent_size = 0;
}

void ask_put_off_lent(struct ask *ask)
{
    int rc = ask_keep_lent(ask);
    if (rc < 0)
        ask_give_up(ask, rc);
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
    ask_count_anew(ask);
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
    bool idle = ask->state == IDLE && ask->lacks == 0 && !ask_is_full(ask);
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

bool ask_take_line(struct ask *ask, struct buffer *line)
{
    if (ask->line_end <= ask->taken || ask_is_full(ask))
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
    ask_count_anew(ask);
    return true;
}

/* ---- answers, as they are read ---- */

/* There is nothing to read. -EAGAIN: an answer is being made, now that a read waits for it. */
static int wait_for_answer(struct ask *ask)
{
    if (!ask_has_stopped(ask))
        return ask->state != IDLE && !ask->stop ? -EAGAIN : 0;
    if (ask->lacks > 0) { /* it gets its turn once the read is parked */
        if (ask->lacks_since == 0)
            ask->lacks_since = clock_ms();
        return -EAGAIN;
    }
    int rc = ask_go_on(ask);
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
    ask_note_read(ask->mount, n);
    forget_read(ask);
    if (ask_has_stopped(ask) && ask->lacks == 0 && !ask_is_full(ask))
        (void)ask_go_on(ask); /* if this fails the next read goes on */
    ask_serve_line(ask->mount);
    return 0;
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
    ask_put_off(ask);
    ask_unref(ask);
}

void ask_stop_all(struct mount *mount)
{
    for (struct ask *ask = mount->tree->asks; ask != NULL; ask = ask->next) {
        ask->stop = true;
        halt(ask);
    }
}
