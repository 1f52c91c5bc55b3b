/* What a call for a table's file waits for: a version that is sure, its size, its bytes. */
#include "codec/clock.h"
#include "fs/tables/job_wanted.h"
#include "fs/tree/table_file.h"
#include "fs/tree/table_lookup.h"
#include "fs/views/stream.h"

#include <errno.h>

enum {
    STREAM_AFTER_MS = 400, /* an open that has waited so long reads along */
    LOOKUP_MS = 1000,      /* a look-up waits no longer, since the kernel may hold a lock; */
    LOOKUP_NEW_MS = 400    /* of a file that nobody has seen yet */
};

static struct table_file *file_of(const struct call *call) { return table_file(call->node); }

/* The caller reads along, and asks the size of what is open: it cannot look its name up again. */
static bool is_of_reader(const struct call *call)
{
    const struct table_file *file = file_of(call);
    return call->kind == CALL_GETATTR && file->streams > 0 && file->read_by == call->caller;
}

static int need_subject(struct mount *mount, struct call *call)
{
    const struct table_file *file = file_of(call);
    int kind = file->face == FACE_DDL ? SUBJECT_DDL : SUBJECT_ROWS;
    bool keeps = file->version != NULL || file->streams > 0;
    int rc = call_need_subject(mount, call, kind, keeps);
    return rc == -ESTALE && is_of_reader(call) ? -ENOENT : rc;
}

/* ---- reading along: an open need not wait for the size ---- */

static bool may_read_along(const struct call *call)
{
    return call->kind == CALL_OPEN && file_of(call)->face < FORMAT_COUNT &&
           clock_ms() - call->arrived >= STREAM_AFTER_MS &&
           call->mount->tree->streams < STREAMS_AT_MOST;
}

/* Takes the feed. What cannot be opened so goes on waiting. */
static int read_along(struct call *call, struct feed *feed)
{
    int rc = stream_new(&call->mount->place, feed, file_of(call)->face, &call->stream);
    feed_unref(feed);
    return rc < 0 ? -EAGAIN : 0;
}

/* With the refresh under way, if its answer is good enough for this call. */
static int read_along_fetch(struct call *call, struct subject *subject)
{
    bool fresh = (int)(subject->refreshes + 1 - call->refreshes_seen) > 0;
    if (!may_read_along(call) || !subject->refreshing || subject->fetch == NULL ||
        subject->kind != SUBJECT_ROWS || !(fresh || call->mount->options->lease_ms > 0))
        return -EAGAIN;
    struct feed *feed = fetch_feed(subject->fetch);
    return feed == NULL ? -EAGAIN : read_along(call, feed);
}

static int read_along_snapshot(struct call *call, const struct version *version)
{
    struct feed *feed;
    if (!may_read_along(call) || version->snapshot == NULL ||
        feed_of_snapshot(version->snapshot, &feed) < 0)
        return -EAGAIN;
    return read_along(call, feed);
}

/* ---- a version, and its face ---- */

/* Only for a stat: if it is opened it may be read along, past the page cache. The kernel has bytes of
 * the node from then on, and nobody else gets it before it has all of them, or none come. */
static void offer(const struct call *call)
{
    struct table_file *file = file_of(call);
    if (call->kind != CALL_GETATTR || file->direct)
        return;
    subject_offer(file->node.subject, file->face, file->node.nodeid);
    file->offered = true;
}

static int need_refresh(struct call *call)
{
    const struct table_file *file = file_of(call);
    call_await_refresh(call);
    job_want_refresh(file->node.subject, file->face);
    if (file->version != NULL)
        return -EAGAIN;
    offer(call);
    return read_along_fetch(call, file->node.subject);
}

/* Of a superseded version that somebody still goes by. */
static int need_past_face(struct table_file *file, enum need need)
{
    if (version_lacks(file->version, file->face))
        return -ESTALE;
    job_want_face(file->node.subject, file->version, file->face, need);
    return -EAGAIN;
}

/* `refreshed`: it has waited for a refresh, which is over. `kept`: it is answered for this version,
 * even if that is superseded. */
static int need_face(struct call *call, bool refreshed, bool kept)
{
    struct table_file *file = file_of(call);
    struct subject *subject = file->node.subject;
    struct version *version = file->version;
    enum need need = call->kind == CALL_OPEN ? NEED_BYTES : NEED_SIZE;
    enum face_state state = version->state[file->face];
    if (state == FACE_FAILED)
        return version->rc[file->face];
    if (state >= (need == NEED_BYTES ? FACE_READABLE : FACE_SIZED))
        return 0;
    if (version != subject->current) /* ESTALE: the kernel looks its name up again */
        return kept ? need_past_face(file, need) : -ESTALE;
    if (version_lacks(version, file->face))
        return refreshed ? -EIO : need_refresh(call);
    job_want_face(subject, version, file->face, need);
    offer(call);
    return read_along_snapshot(call, version);
}

/* ---- a look-up that is in doubt ---- */

static bool looks_no_longer(const struct call *call)
{
    /* What is being made anyway is waited for by the stat or open that follows. */
    int64_t limit = call->node->opens > 0 ? LOOKUP_MS : LOOKUP_NEW_MS;
    return call->kind == CALL_LOOKUP && clock_ms() - call->arrived >= limit;
}

/* What fails is said to those who ask for more than the name. */
static int try_lookup(struct mount *mount, struct call *call)
{
    const struct table_file *file = file_of(call);
    struct subject *subject = file->node.subject;
    struct lookup lookup = call_lookup(call);
    if (table_lookup_doubt(mount, &lookup) != call->node)
        return 0;
    bool failed = call_has_seen_failure(call);
    bool holds = table_file_is_of(file, subject->current);
    call_count_from_now(call);
    call->changed = holds && subject->fetch != NULL && fetch_has_changes(subject->fetch);
    if (failed || call->changed || looks_no_longer(call))
        return 0;
    if (holds && file->version != NULL && file->node.opens > 0) {
        call_await_refresh(call);
        job_want_refresh(subject, file->face);
    }
    return -EAGAIN;
}

/* ---- stat and open ---- */

/* What it knows from the look-up before it. */
static void take_glance(struct call *call)
{
    const struct promise *shown = table_file_shown(file_of(call), call->caller);
    if (call->by_path || shown == NULL)
        return;
    call->by_path = true;
    if (shown->told)
        return;
    call->asks = shown->glance.asks;
    if (shown->glance.waited && !call->waited) {
        call->waited = true;
        call->refreshes_seen = shown->glance.refreshes_seen;
    }
}

/* Whether its caller is to have the node's version even if it is superseded: it stays with it, or
 * opens what it was promised. However long that takes. */
static bool keeps_version(struct call *call)
{
    const struct table_file *file = file_of(call);
    const struct subject *subject = file->node.subject;
    const struct version *version = file->version;
    if (version == NULL || (version->snapshot != NULL && version->snapshot->broken))
        return false;
    const struct promise *promise =
        call->kind == CALL_OPEN ? subject_promised(subject, call->caller) : NULL;
    const struct version *stays = subject_stays(subject, call->caller);
    call->keeps |=
        (stays != NULL && table_file_is_of(file, stays)) ||
        (promise != NULL && promise->version != NULL && table_file_is_of(file, promise->version));
    return call->keeps;
}

int table_ready(struct mount *mount, struct call *call)
{
    struct table_file *file = file_of(call);
    if (call->kind == CALL_LOOKUP)
        return try_lookup(mount, call);
    int rc = need_subject(mount, call);
    if (rc < 0)
        return rc;
    struct subject *subject = file->node.subject;
    if (file->spoiled)
        return is_of_reader(call) ? -EIO : -ESTALE;
    take_glance(call);
    table_file_renew(file);
    if (file->filling)
        return -EAGAIN;
    bool refreshed = call_is_refreshed(call);
    bool opens = call->kind == CALL_OPEN, by_path = call->by_path;
    /* A node that is open answers for what it is, but to those who have been shown it in doubt. */
    bool asked = file->node.opens == 0 || call->asks;
    bool keeps = keeps_version(call);
    bool good = refreshed || keeps || subject_leased(subject);
    if (file->version == NULL) {
        if (!good || subject->current == NULL)
            return need_refresh(call);
        table_file_bind(file, subject->current);
    } else if (!table_file_is_of(file, subject->current) && !keeps) {
        if (asked && (call->waited || (by_path && !opens)))
            return -ESTALE;
        if (opens && by_path)
            return -ESTALE;
    } else if (!good && (asked || (opens && by_path))) {
        return need_refresh(call);
    }
    return need_face(call, refreshed, keeps || file->node.opens > 0);
}

bool table_ready_overdue(const struct call *call)
{
    return call->node->subject != NULL && (may_read_along(call) || looks_no_longer(call));
}
