/* What a call for a table's file waits for: a version that is sure, its size, its bytes. */
#include "codec/clock.h"
#include "fs/tables/job_wanted.h"
#include "fs/tables/lease.h"
#include "fs/tree/table_file.h"
#include "fs/tree/table_lookup.h"
#include "fs/views/stream.h"

#include <errno.h>

enum { STREAM_AFTER_MS = 400 }; /* an open that has waited this long reads along */

static struct table_file *file_of(const struct call *call) { return table_file(call->node); }

/* Whether the caller reads along, and asks the size of its open file: it cannot look the name up
 * again. */
static bool is_of_reader(const struct call *call)
{
    const struct table_file *file = file_of(call);
    return call->kind == CALL_GETATTR && file->streams > 0 && file->read_by == call->caller;
}

static struct subject *subject_of_name(struct mount *mount, struct node *node)
{
    return node->parent->class->subject(mount, node->parent, node->name);
}

static int need_subject(struct mount *mount, struct call *call)
{
    const struct table_file *file = file_of(call);
    bool keeps = file->version != NULL || file->streams > 0;
    int rc = call_need_subject(mount, call, subject_of_name, keeps);
    return rc == -ESTALE && is_of_reader(call) ? -ENOENT : rc;
}

/* ---- reading along: an open need not wait for the size ---- */

static bool may_read_along(const struct call *call)
{
    int face = file_of(call)->face;
    return call->kind == CALL_OPEN && face < FORMAT_COUNT && !formats[face]->whole &&
           clock_ms() - call->arrived >= STREAM_AFTER_MS &&
           call->mount->tree->streams < STREAMS_AT_MOST;
}

/* Opens the file so that it reads along. Takes the feed. If that fails the open goes on waiting. */
static int read_along(struct call *call, struct feed *feed)
{
    const struct rendition rendition = {.format = formats[file_of(call)->face]};
    int rc = stream_new(&call->mount->place, feed, &rendition, &call->stream);
    feed_unref(feed);
    return rc < 0 ? -EAGAIN : 0;
}

/* Whether there are rows to read along with: those of the running refresh, if its answer is good
 * enough for this call, or those of the version. */
static bool has_rows(const struct call *call)
{
    const struct version *version = file_of(call)->version;
    const struct subject *subject = call->node->subject;
    bool fresh = call->waited && (int)(subject->refreshes + 1 - call->refreshes_seen) > 0;
    if (version != NULL)
        return version->snapshot != NULL;
    return subject->refreshing && subject->fetch != NULL && subject->kind == SUBJECT_ROWS &&
           (fresh || call->mount->options->lease_ms > 0);
}

static int read_along_fetch(struct call *call)
{
    struct feed *feed = fetch_feed(call->node->subject->fetch);
    return feed == NULL ? -EAGAIN : read_along(call, feed);
}

static int read_along_rows(struct call *call)
{
    struct feed *feed;
    int rc = feed_of_snapshot(file_of(call)->version->snapshot, &feed);
    return rc < 0 ? -EAGAIN : read_along(call, feed);
}

/* ---- a version, and its face ---- */

/* Offers the node to the job, which may fill its page cache. Only for a stat: a file that is opened
 * may be read along, past the page cache. From then on the kernel has bytes of the node, and no
 * other caller gets the node before the kernel has all bytes, or none come. Not for a caller that
 * was told ESTALE: if the filling failed, it would be told so again. */
static void offer(const struct call *call)
{
    struct table_file *file = file_of(call);
    if (call->kind != CALL_GETATTR || file->direct || file->own || file->face == FACE_VIEW)
        return;
    subject_offer(file->node.subject, file->face, file->node.nodeid);
    file->offered = true;
}

static void want_refresh(const struct call *call)
{
    const struct table_file *file = file_of(call);
    int face = file->face < FACE_COUNT ? file->face : -1;
    if (call->kind == CALL_OPEN || file->node.opens > 0)
        job_want_refresh(file->node.subject, face);
    else
        job_want_glance(file->node.subject, face);
}

/* -EAGAIN. */
static int need_refresh(struct call *call)
{
    const struct table_file *file = file_of(call);
    call_await_refresh(call);
    want_refresh(call);
    if (file->version == NULL)
        offer(call);
    return -EAGAIN;
}

/* -EAGAIN. */
static int need_face(struct call *call)
{
    struct table_file *file = file_of(call);
    enum need need = call->kind == CALL_OPEN ? NEED_BYTES : NEED_SIZE;
    if (file->view != NULL) {
        job_want_view(file->node.subject, file->version, file->view);
        return -EAGAIN;
    }
    job_want_face(file->node.subject, file->version, file->face, need);
    if (file->version == file->node.subject->current)
        offer(call);
    return -EAGAIN;
}

/* ---- a look-up that is in doubt ---- */

/* A failure is not told here, but to calls that ask for more than the name. */
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
    if (failed || call->changed || call_looks_no_longer(call))
        return 0;
    if (holds && file->version != NULL && file->node.opens > 0) {
        call_await_refresh(call);
        want_refresh(call);
    }
    return -EAGAIN;
}

/* ---- stat and open ---- */

/* Takes over what the caller's last look-up knows. */
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

/* Whether the caller must get the node's version even if that is superseded, however long it takes:
 * it stays with that version, or opens what it was promised. */
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

static enum lease_face face_of(const struct table_file *file, const struct version *version)
{
    static const enum lease_face faces[] = {[FACE_UNKNOWN] = LEASE_FACE_UNKNOWN,
                                            [FACE_SIZED] = LEASE_FACE_SIZED,
                                            [FACE_READABLE] = LEASE_FACE_READABLE,
                                            [FACE_FAILED] = LEASE_FACE_FAILED};
    if (version == NULL)
        return LEASE_FACE_UNKNOWN;
    if (file->face == FACE_VIEW)
        return faces[table_file_state(file)];
    enum face_state state = version->state[file->face];
    return state == FACE_UNKNOWN && version_lacks(version, file->face) ? LEASE_FACE_LACKS
                                                                       : faces[state];
}

static struct lease_state lease_of(struct call *call)
{
    const struct table_file *file = file_of(call);
    const struct subject *subject = call->node->subject;
    const struct version *current = subject->current, *shows = file->version;
    return (struct lease_state){.shows = shows == NULL                     ? LEASE_SHOWS_NOTHING
                                         : shows == current                ? LEASE_SHOWS_CURRENT
                                         : table_file_is_of(file, current) ? LEASE_SHOWS_SAME
                                                                           : LEASE_SHOWS_PAST,
                                .hold = keeps_version(call)       ? LEASE_KEPT
                                        : subject_leased(subject) ? LEASE_LEASED
                                                                  : LEASE_EXPIRED,
                                .asked = current != NULL && call_is_refreshed(call)
                                             ? LEASE_REFRESHED
                                         : call->waited ? LEASE_ASKED
                                                        : LEASE_NOT_ASKED,
                                .named = call->asks      ? LEASE_IN_DOUBT
                                         : call->by_path ? LEASE_BY_NAME
                                                         : LEASE_BY_NODE,
                                .cache = file->spoiled   ? LEASE_SPOILED
                                         : file->filling ? LEASE_FILLING
                                                         : LEASE_CLEAN,
                                .face = face_of(file, shows != NULL ? shows : current),
                                .opens = call->kind == CALL_OPEN,
                                .is_open = file->node.opens > 0,
                                .reads = is_of_reader(call),
                                .along = may_read_along(call) && has_rows(call)};
}

static int act_on(enum lease_verdict verdict, struct call *call)
{
    const struct table_file *file = file_of(call);
    switch (verdict) {
    case LEASE_ANSWER:
        return 0;
    case LEASE_STALE:
        return -ESTALE;
    case LEASE_FAIL:
        if (file->version != NULL)
            version_say_failure(file->version, file->face);
        return table_file_rc(file);
    case LEASE_REFRESH:
        return need_refresh(call);
    case LEASE_MEASURE:
        return need_face(call);
    case LEASE_READ_FETCH:
        (void)need_refresh(call);
        return read_along_fetch(call);
    case LEASE_READ_ROWS:
        (void)need_face(call);
        return read_along_rows(call);
    case LEASE_WAIT:
        return -EAGAIN;
    case LEASE_GIVE_UP:
    case LEASE_BIND:
        break;
    }
    return -EIO;
}

int table_ready(struct mount *mount, struct call *call)
{
    struct table_file *file = file_of(call);
    if (call->kind == CALL_LOOKUP)
        return try_lookup(mount, call);
    int rc = need_subject(mount, call);
    if (rc < 0)
        return rc;
    if (!file->spoiled) {
        take_glance(call);
        table_file_renew(file);
    }
    struct lease_state state = lease_of(call);
    if (lease_decide(&state) == LEASE_BIND) {
        table_file_bind(file, file->node.subject->current);
        call->keeps |= file->own;
        state = lease_of(call);
    }
    return act_on(lease_decide(&state), call);
}

bool table_ready_overdue(const struct call *call)
{
    return call->node->subject != NULL && (may_read_along(call) || call_looks_no_longer(call));
}
