/* What a request for a directory, a file, or an answer of query/ waits for. */
#include "codec/clock.h"
#include "fs/request_parts.h"
#include "fs/tables/listing.h"
#include "fs/tree/query_session.h"
#include "fs/tree/shown.h"

#include <errno.h>
#include <stdlib.h>

enum {
    ANSWER_TRIES = 3,          /* at a table that changes under our hands */
    DIRECTORY_FRESH_MS = 1000, /* a directory that was there so lately is taken to be there */
    STREAM_AFTER_MS = 400,     /* an open that has waited so long reads along */
    LOOKUP_MS = 1000,          /* a look-up waits no longer, since the kernel may hold a lock; */
    LOOKUP_NEW_MS = 400        /* of a file that nobody has seen yet */
};

/* ---- directories ---- */

/* The catalog must be of after the request came; or, if that is enough, fresh. */
static int need_listing(struct mount *mount, struct request *request, bool fresh_will_do)
{
    if (fresh_will_do ? mount->catalog_checked >= request->arrived - DIRECTORY_FRESH_MS
                      : listing_is_after(mount, request->listing_seen))
        return 0;
    if (!request->listing_asked) {
        request->listing_asked = true;
        request->listing_failures_seen = mount->catalog_failures;
    } else if (request->listing_failures_seen != mount->catalog_failures) {
        return mount->catalog_rc;
    }
    if (!mount->catalog_running || !mount->catalog_wanted)
        listing_check(mount);
    return -EAGAIN;
}

int request_try_directory(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    if (node->kind == NODE_CONTROL)
        return 0;
    bool lists = request->kind == REQUEST_OPENDIR && node->kind < NODE_TABLE;
    lists |= request->kind == REQUEST_OPENDIR && node->kind == NODE_PARTITIONS;
    if (node->kind == NODE_ROOT && !lists)
        return 0;
    /* The kernel lets nobody else into the directory until it is answered. If the table has gone,
     * what is made there goes with it. */
    if (request->kind == REQUEST_MKDIR && node_exists(mount, node)) {
        if (mount->catalog_checked < request->arrived - DIRECTORY_FRESH_MS &&
            !mount->catalog_running)
            listing_check(mount);
        return 0;
    }
    int rc = need_listing(mount, request, !lists && node_exists(mount, node));
    /* While the server is away, what was there can be walked through: to .pgvecfs, to the reason of
     * a failure, to what is open. */
    bool walks = request->kind == REQUEST_GETATTR || request->kind == REQUEST_ACCESS;
    if (rc < 0 && rc != -EAGAIN && walks && node_exists(mount, node))
        return 0;
    if (rc < 0 || node_exists(mount, node))
        return rc;
    node->absent_ms = clock_ms();
    return -ENOENT;
}

static int find_subject(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    const struct node *directory = node_table(node);
    const struct relation *relation = node_relation(mount, directory);
    if (relation == NULL || request->gone != 0 || listing_is_doubted(mount)) {
        int rc = need_listing(mount, request, false);
        if (rc < 0)
            return rc;
        relation = node_relation(mount, directory);
    }
    if (relation == NULL || (node->kind == NODE_ANSWER && !relation->has_vectors))
        return -ENOENT;
    struct table *table = table_get(mount, relation);
    if (table == NULL)
        return -ENOMEM;
    node_set_subject(node, table_subject(table, node->face));
    return 0;
}

/* Who reads along and asks the size of what is open cannot look its name up again. */
static bool is_of_reader(const struct request *request)
{
    const struct node *node = request->node;
    return request->kind == REQUEST_GETATTR && node->streams > 0 &&
           node->read_by == request->caller;
}

/* The relation behind the name has gone: from its name again, for as long as a later catalog knows
 * another one. What is open stays a file of its subject, which counts it: others look the name up
 * again, and get another node. */
static int look_again(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    uint32_t gone = node->subject->table->relation.oid;
    if (request->gone == gone)
        return -ENOENT;
    if (node->streams > 0)
        return is_of_reader(request) ? -ENOENT : -ESTALE;
    if (node->version != NULL || node->result != NULL)
        return -ESTALE; /* this node stays what it was: the kernel looks its name up again */
    request->gone = gone;
    request->counted = 0;
    request->listing_asked = false;
    request->listing_seen = listing_now(mount);
    node_set_subject(node, NULL);
    listing_doubt(mount);
    return find_subject(mount, request);
}

/* Another request has found the relation that has gone, by an older catalog. */
static bool has_gone(const struct mount *mount, const struct request *request)
{
    const struct node *node = request->node;
    return request->gone != 0 && node->subject->table->relation.oid == request->gone &&
           node->version == NULL && node->opens == 0 &&
           !listing_is_after(mount, request->listing_seen);
}

/* ---- reading along: an open need not wait for the size ---- */

bool request_may_read_along(const struct request *request)
{
    return request->kind == REQUEST_OPEN && request->node->face < FORMAT_COUNT &&
           clock_ms() - request->arrived >= STREAM_AFTER_MS &&
           request->node->subject->table->mount->tree->streams < STREAMS_AT_MOST;
}

/* Takes the feed. What cannot be opened so goes on waiting. */
static int read_along(struct request *request, struct feed *feed)
{
    struct mount *mount = request->node->subject->table->mount;
    int rc = stream_new(&mount->place, feed, request->node->face, &request->stream);
    feed_unref(feed);
    return rc < 0 ? -EAGAIN : 0;
}

/* With the refresh under way, if its answer is good enough for this request. */
static int read_along_fetch(struct request *request, struct subject *subject)
{
    const struct mount *mount = subject->table->mount;
    bool fresh = (int)(subject->refreshes + 1 - request->refreshes_seen) > 0;
    if (!request_may_read_along(request) || !subject->refreshing || subject->fetch == NULL ||
        subject->kind != SUBJECT_ROWS || !(fresh || mount->options->lease_ms > 0))
        return -EAGAIN;
    struct feed *feed = fetch_feed(subject->fetch);
    return feed == NULL ? -EAGAIN : read_along(request, feed);
}

static int read_along_snapshot(struct request *request, const struct version *version)
{
    struct feed *feed;
    if (!request_may_read_along(request) || version->snapshot == NULL ||
        feed_of_snapshot(version->snapshot, &feed) < 0)
        return -EAGAIN;
    return read_along(request, feed);
}

static void wait_for_refresh(struct request *request, const struct subject *subject)
{
    if (request->waited)
        return;
    request->waited = true;
    /* One that is under way may have looked at the server before this request came. */
    request->refreshes_seen = subject->refreshes + subject->refreshing;
}

/* Only for a stat: who opens it may read along, past the page cache. The kernel has bytes of the
 * node from then on, and nobody else gets it before it has all of them, or none come. */
static void offer(const struct request *request, struct subject *subject)
{
    if (request->kind != REQUEST_GETATTR || request->node->direct)
        return;
    subject_offer(subject, request->node->face, request->node->nodeid);
    request->node->offered = true;
}

static int need_refresh(struct request *request, struct subject *subject)
{
    wait_for_refresh(request, subject);
    subject_want_refresh(subject, request->node->face);
    if (request->node->version != NULL)
        return -EAGAIN;
    offer(request, subject);
    return read_along_fetch(request, subject);
}

/* Of a version of the past that somebody goes by. */
static int need_past_face(struct subject *subject, struct version *version, int face,
                          enum need need)
{
    if (version_lacks(version, face))
        return -ESTALE;
    subject_want_face(subject, version, face, need);
    return -EAGAIN;
}

/* `refreshed`: it has waited for a refresh, which is over. `kept`: it is answered for this version,
 * even if that is of the past. */
static int need_face(struct request *request, struct subject *subject, bool refreshed, bool kept)
{
    struct version *version = request->node->version;
    enum need need = request->kind == REQUEST_OPEN ? NEED_BYTES : NEED_SIZE;
    int face = request->node->face;
    if (version->state[face] == FACE_FAILED)
        return version->rc[face];
    if (version->state[face] >= (need == NEED_BYTES ? FACE_READABLE : FACE_SIZED))
        return 0;
    if (version != subject->current) /* ESTALE: the kernel looks its name up again */
        return kept ? need_past_face(subject, version, face, need) : -ESTALE;
    if (version_lacks(version, face))
        return refreshed ? -EIO : need_refresh(request, subject);
    subject_want_face(subject, version, face, need);
    offer(request, subject);
    return read_along_snapshot(request, version);
}

/* Whether a refresh of its subject has failed while it waited. */
static bool has_seen_failure(const struct request *request)
{
    const struct subject *subject = request->node->subject;
    return request->counted == subject->table->relation.oid &&
           request->failures_seen != subject->failures;
}

/* Whose refreshes count from now on. */
static void count_from_now(struct request *request)
{
    const struct subject *subject = request->node->subject;
    if (request->counted == subject->table->relation.oid)
        return;
    request->counted = subject->table->relation.oid;
    request->failures_seen = subject->failures;
    request->waited = false;
}

/* The node has a subject, and no refresh of it has failed since the request came. */
static int need_subject(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    if (node->subject != NULL && has_gone(mount, request))
        node_set_subject(node, NULL);
    int rc = node->subject == NULL ? find_subject(mount, request) : 0;
    if (rc == 0 && has_seen_failure(request))
        rc = node->subject->rc != -ENOENT ? node->subject->rc : look_again(mount, request);
    if (rc == 0)
        count_from_now(request);
    return rc;
}

bool request_looks_no_longer(const struct request *request)
{
    /* What is being made anyway is waited for by the stat or open that follows. */
    int64_t limit = request->node->opens > 0 ? LOOKUP_MS : LOOKUP_NEW_MS;
    return request->kind == REQUEST_LOOKUP && clock_ms() - request->arrived >= limit;
}

/* What fails is said to who asks for more than the name. */
int request_try_lookup(struct mount *mount, struct request *request)
{
    struct lookup lookup = request_lookup(request);
    struct node *node = request->node;
    struct subject *subject = node->subject;
    if (lookup_doubt(mount, &lookup) != node)
        return 0;
    bool failed = has_seen_failure(request);
    bool holds = node_is_of(node, subject->current);
    count_from_now(request);
    request->changed = holds && subject->fetch != NULL && fetch_has_changes(subject->fetch);
    if (failed || request->changed || request_looks_no_longer(request))
        return 0;
    if (holds && node->version != NULL && node->opens > 0) {
        wait_for_refresh(request, subject);
        subject_want_refresh(subject, node->face);
    }
    return -EAGAIN;
}

/* What it knows from the look-up before it. */
static void take_glance(struct request *request)
{
    const struct promise *shown = node_shown(request->node, request->caller);
    if (request->by_path || shown == NULL)
        return;
    request->by_path = true;
    if (shown->told)
        return;
    request->asks = shown->glance.asks;
    if (shown->glance.waited && !request->waited) {
        request->waited = true;
        request->refreshes_seen = shown->glance.refreshes_seen;
    }
}

/* Whether its caller is to have the node's version even if it is superseded: it stays with it, or
 * opens what it was promised. However long that takes. */
static bool keeps_version(struct request *request, const struct subject *subject)
{
    const struct version *version = request->node->version;
    if (version == NULL || (version->snapshot != NULL && version->snapshot->broken))
        return false;
    const struct promise *promise =
        request->kind == REQUEST_OPEN ? subject_promised(subject, request->caller) : NULL;
    const struct version *stays = subject_stays(subject, request->caller);
    request->keeps |= (stays != NULL && node_is_of(request->node, stays)) ||
                      (promise != NULL && promise->version != NULL &&
                       node_is_of(request->node, promise->version));
    return request->keeps;
}

int request_try_file(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    int rc = need_subject(mount, request);
    if (rc < 0)
        return rc;
    struct subject *subject = node->subject;
    if (node->spoiled)
        return is_of_reader(request) ? -EIO : -ESTALE;
    take_glance(request);
    node_renew(node);
    if (node->filling)
        return -EAGAIN;
    bool refreshed = request->waited && (int)(subject->refreshes - request->refreshes_seen) > 0;
    bool opens = request->kind == REQUEST_OPEN, by_path = request->by_path;
    /* A node that is open answers for what it is, but to who has been shown it in doubt. */
    bool asked = node->opens == 0 || request->asks;
    bool keeps = keeps_version(request, subject);
    bool good = refreshed || keeps || subject_leased(subject);
    if (node->version == NULL) {
        if (!good || subject->current == NULL)
            return need_refresh(request, subject);
        node_bind(node, subject->current);
    } else if (!node_is_of(node, subject->current) && !keeps) {
        if (asked && (request->waited || (by_path && !opens)))
            return -ESTALE;
        if (opens && by_path)
            return -ESTALE;
    } else if (!good && (asked || (opens && by_path))) {
        return need_refresh(request, subject);
    }
    return need_face(request, subject, refreshed, keeps || node->opens > 0);
}

/* ---- answers to questions ---- */

/* Begins to make it, here if that is possible. */
static int make_result(struct mount *mount, struct request *request, struct result *result)
{
    bool slow = question_asks_server(&result->key.asked->question);
    result_begin(result, request->node->subject);
    if (!slow && !request->parked && result_enter(mount))
        request->work = result;
    else if ((slow ? waiters_add(mount->waiters, result_work_patiently, result)
                   : workers_add(mount->queriers, result_work, result, 0)) < 0)
        return result_cancel(result);
    return 0;
}

/* The node shows the answer for the current version from now on. */
static int bind_result(struct mount *mount, struct request *request)
{
    struct node *node = request->node;
    struct result *result = result_find(mount, &node->key, node->subject->current);
    int tries = request->tries > node->stale_answers ? request->tries : node->stale_answers;
    bool last = tries + 1 >= ANSWER_TRIES;
    int rc = 0;
    if (result != NULL && (!result->making || result->last || !last)) {
        node->result = result_ref(result);
    } else if ((rc = result_new(mount, &node->key, &result)) == 0) {
        node->result = result;
        result->last = last;
        rc = make_result(mount, request, result);
        if (rc == 0)
            result_keep(result);
    }
    shown_set(node, node->result);
    request->awaited = node->result;
    return rc < 0 || !node->result->making ? rc : -EAGAIN;
}

/* What has become of the attempt that the request waited for. */
static int settle_failure(struct request *request, int rc)
{
    struct node *node = request->node;
    if (rc == -ESTALE && !node->result->last) { /* it may be another's, on its first try */
        request->tries++;
        request->waited = false;
        return -EAGAIN;
    }
    if (rc == -EINTR)
        return -EAGAIN;
    /* query/ shows its reason to everybody, who may not look into every session. */
    bool told = node->session == NULL || (node->session->owner.mode & S_IROTH);
    if (node->result->reason != NULL && told)
        node_keep_reason(node, node->result->reason);
    return result_errno(rc == -ESTALE ? -EIO : rc);
}

static int want_rows(struct request *request, struct subject *subject)
{
    wait_for_refresh(request, subject);
    subject_want_refresh(subject, -1);
    return -EAGAIN;
}

/* Whether it is in a session that is no more. */
static bool has_ended(const struct node *node)
{
    return node->session != NULL && node->session->directory == NULL;
}

int request_try_answer(struct mount *mount, struct request *request)
{
    static const struct error none = {""};
    struct node *node = request->node;
    int rc = shown_take(mount, node);
    if (rc < 0)
        return rc;
    struct result *result = node->result;
    bool made = result != NULL && !result->making && result->rc == 0;
    if (!made && has_ended(node))
        return -ENOENT;
    if (result != NULL && result->making) {
        request->awaited = result;
        return -EAGAIN;
    }
    if (result != NULL && result->rc < 0) {
        rc = request->awaited == result ? settle_failure(request, result->rc) : -EAGAIN;
        if (rc != -EAGAIN)
            return rc;
        node->stale_answers = result->rc == -ESTALE ? node->stale_answers + 1 : 0;
        result_unref(result);
        node->result = result = NULL;
        shown_set(node, NULL);
    }
    if (result != NULL)
        node->stale_answers = 0;
    bool opens = request->kind == REQUEST_OPEN;
    if (result != NULL &&
        (request->awaited == result || node->opens > 0 || result->key.kind != RESULT_ROWS ||
         (opens && result_is_promised(result, request->caller))))
        return 0;
    rc = need_subject(mount, request);
    if (rc < 0 && rc != -EAGAIN && rc != -ESTALE && node->session != NULL)
        query_session_answered(node->session, rc,
                               node->subject != NULL ? &node->subject->error : &none);
    if (rc < 0)
        return rc;
    struct subject *subject = node->subject;
    bool refreshed = request->waited && (int)(subject->refreshes - request->refreshes_seen) > 0;
    if (!(refreshed || subject_leased(subject)) || subject->current == NULL)
        return want_rows(request, subject);
    subject_renew(subject);
    if (result != NULL)
        return result_holds(result, subject->current) ? 0 : -ESTALE;
    return bind_result(mount, request);
}
