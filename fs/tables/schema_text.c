#include "fs/tables/schema_text.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "pgclient/ddl_whole.h"

#include <errno.h>
#include <stdlib.h>

enum {
    WORTH = 3, /* so many relations must ask: a pg_dump of all costs as much as a few of one */
    PAUSE_SHARE = 5, /* the pause is so many times as long as the last dump took, within these: */
    PAUSE_LEAST_MS = 500,
    /* at least so long if the dump failed for a reason that may be gone soon */
    PAUSE_FAILED_MS = 5000,
    PAUSE_MOST_MS = 60000,        /* always so long if it failed for another reason */
    PAUSE_TOO_LARGE_MS = 3600000, /* so long if the text is too large */
    IDLE_MS = 60000
};

struct schema_dump {
    unsigned refs;
    struct ddl_whole *whole;
    char *signature;
    int64_t used_at;
};

static void unref(struct schema_dump *dump)
{
    if (dump == NULL || --dump->refs > 0)
        return;
    ddl_whole_free(dump->whole);
    free(dump->signature);
    free(dump);
}

/* Compares both ways: either signature may have been read first. */
static bool same_state(const char *a, const char *b)
{
    return mark_holds(a, b) || mark_holds(b, a);
}

static void count_asker(struct schema_text *text, const char *signature)
{
    if (text->state != NULL && same_state(text->state, signature)) {
        text->asked++;
        return;
    }
    free(text->state);
    text->state = strdup(signature); /* without memory for it, requests are not counted */
    text->asked = 1;
}

enum schema_text_way schema_text_ask(struct schema_text *text, const char *signature, int64_t now)
{
    if (text->dump != NULL && same_state(text->dump->signature, signature)) {
        text->dump->used_at = now;
        return SCHEMA_TEXT_READ;
    }
    count_asker(text, signature);
    if (text->making)
        return SCHEMA_TEXT_WAIT;
    return text->asked >= WORTH && now >= text->pause_until ? SCHEMA_TEXT_MAKE : SCHEMA_TEXT_ALONE;
}

static int64_t pause_after(int64_t took, int rc)
{
    bool passes = rc == -EAGAIN || rc == -EBUSY || rc == -ENOLCK || rc == -EUSERS ||
                  rc == -EREMCHG || rc == -ENOTCONN;
    int64_t least = rc == 0 ? PAUSE_LEAST_MS : passes ? PAUSE_FAILED_MS : PAUSE_MOST_MS;
    int64_t pause = took * PAUSE_SHARE;
    if (rc == -EFBIG)
        return PAUSE_TOO_LARGE_MS;
    return pause < least ? least : pause > PAUSE_MOST_MS ? PAUSE_MOST_MS : pause;
}

/* Keeps the text that was made. Takes `whole`. */
static struct schema_dump *keep(struct schema_text *text, struct ddl_whole *whole,
                                const char *signature)
{
    struct schema_dump *dump = calloc(1, sizeof *dump);
    char *kept = strdup(signature);
    if (dump == NULL || kept == NULL) {
        free(dump);
        free(kept);
        ddl_whole_free(whole);
        return NULL;
    }
    *dump =
        (struct schema_dump){.refs = 1, .whole = whole, .signature = kept, .used_at = clock_ms()};
    unref(text->dump);
    text->dump = dump;
    return dump;
}

/* Makes the text. Called with the lock, which it gives up meanwhile. The text is kept. -EINTR: it
 * was stopped, which does not count as a failure. */
static int make(struct schema_text *text, const char *signature, const atomic_bool *stop)
{
    struct ddl_whole *whole = NULL;
    struct error error = {""};
    int64_t began = clock_ms();
    text->making = true;
    unref(text->dump); /* that is of another state */
    text->dump = NULL;
    pthread_mutex_unlock(text->lock);
    int rc = ddl_whole_read(text->way, signature, stop, &whole, &error);
    int64_t took = clock_ms() - began;
    if (rc == 0)
        log_say(LOG_SAY_INFO, "the DDL of all relations was read at once, in %lld ms",
                (long long)took);
    else if (rc != -EINTR)
        log_say(LOG_SAY_INFO, "the DDL of all relations cannot be read at once: %s", error.text);
    pthread_mutex_lock(text->lock);
    text->making = false;
    if (rc != -EINTR)
        text->pause_until = clock_ms() + pause_after(took, rc);
    if (rc == 0 && keep(text, whole, signature) == NULL)
        rc = -ENOMEM;
    wait_call(text->waits, &text->waiting);
    return rc;
}

/* Called with the lock, which it gives up meanwhile. */
static int put(struct schema_text *text, struct schema_dump *dump, uint32_t relation,
               struct buffer *out)
{
    dump->refs++;
    pthread_mutex_unlock(text->lock);
    int rc = ddl_whole_put(dump->whole, relation, out);
    pthread_mutex_lock(text->lock);
    unref(dump);
    return rc;
}

int schema_text_get(struct schema_text *text, uint32_t relation, const char *signature,
                    const atomic_bool *stop, struct buffer *out)
{
    int rc = 0;
    pthread_mutex_lock(text->lock);
    enum schema_text_way way = schema_text_ask(text, signature, clock_ms());
    if (way == SCHEMA_TEXT_MAKE)
        rc = make(text, signature, stop);
    if (way == SCHEMA_TEXT_WAIT)
        rc = -EINPROGRESS;
    else if (rc == 0 && way != SCHEMA_TEXT_ALONE && text->dump != NULL)
        rc = put(text, text->dump, relation, out);
    else if (rc != -EINTR)
        rc = -ENOENT;
    pthread_mutex_unlock(text->lock);
    return rc == 0 || rc == -EINTR || rc == -EINPROGRESS ? rc : -ENOENT;
}

void schema_text_tend(struct schema_text *text)
{
    if (text->dump == NULL || clock_ms() - text->dump->used_at < IDLE_MS)
        return;
    unref(text->dump);
    text->dump = NULL;
}

void schema_text_clear(struct schema_text *text)
{
    unref(text->dump);
    free(text->state);
    *text = (struct schema_text){0};
}
