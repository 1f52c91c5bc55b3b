#include "fs/tree/call.h"

#include "codec/clock.h"
#include "fs/tables/listing.h"

#include <errno.h>

enum {
    /* a directory that was there this short a time ago is taken to be there */
    DIRECTORY_FRESH_MS = 1000,
    LOOKUP_MS = 1000,    /* how long a look-up waits */
    LOOKUP_NEW_MS = 400, /* the same for a file that no process has seen yet */
};

/* ---- parked calls ---- */

void call_list(struct call *call)
{
    struct tree *tree = call->mount->tree;
    call->next = tree->parked;
    call->at = &tree->parked;
    if (call->next != NULL)
        call->next->at = &call->next;
    tree->parked = call;
    tree->parked_count++;
}

void call_unlist(struct call *call)
{
    wait_take_off(&call->waiting);
    if (call->at == NULL)
        return;
    *call->at = call->next;
    if (call->next != NULL)
        call->next->at = call->at;
    call->at = NULL;
    call->mount->tree->parked_count--;
}

struct wait *call_waits_on(const struct call *call)
{
    struct subject *subject = call->node->subject;
    if (call->on != NULL)
        return call->on;
    return subject != NULL ? &subject->waiting : &call->mount->waiting;
}

void call_retry_node(struct mount *mount, const struct node *node)
{
    if (node->calls == 0)
        return;
    for (struct call *call = mount->tree->parked; call != NULL; call = call->next)
        if (call->node == node && call->on == NULL)
            wait_make_due(&mount->waits, &call->waiting);
    wait_try_due(&mount->waits);
}

bool call_waits_for(const struct mount *mount, const struct subject *subject)
{
    for (const struct call *call = mount->tree->parked; call != NULL; call = call->next)
        if (call->node->subject == subject)
            return true;
    return subject->waiting.first != NULL; /* a conversation waits */
}

struct lookup call_lookup(const struct call *call)
{
    return (struct lookup){.parent = call->node->parent,
                           .name = call->node->name,
                           .caller = call->caller,
                           .waited = call->waited,
                           .refreshes_seen = call->refreshes_seen,
                           .changed = call->changed};
}

bool call_looks_no_longer(const struct call *call)
{
    int64_t limit = call->node->opens > 0 ? LOOKUP_MS : LOOKUP_NEW_MS;
    return call->kind == CALL_LOOKUP && clock_ms() - call->arrived >= limit;
}

/* ---- directories ---- */

int call_need_listing(struct mount *mount, struct call *call, bool fresh_will_do)
{
    if (fresh_will_do ? mount->catalog_checked >= call->arrived - DIRECTORY_FRESH_MS
                      : listing_is_after(mount, call->listing_seen))
        return 0;
    if (!call->listing_asked) {
        call->listing_asked = true;
        call->listing_failures_seen = mount->catalog_failures;
    } else if (call->listing_failures_seen != mount->catalog_failures) {
        return mount->catalog_rc;
    }
    if (!mount->catalog_running || !mount->catalog_wanted)
        listing_check(mount);
    return -EAGAIN;
}

int call_need_directory(struct mount *mount, struct call *call)
{
    struct node *node = call->node;
    bool lists = call->kind == CALL_OPENDIR && (node->class->flags & CLASS_BY_CATALOG);
    /* Until MKDIR is answered the kernel lets no other process into the directory. If the table has
     * gone, what is made there goes with it. */
    if (call->kind == CALL_MKDIR && node_exists(mount, node)) {
        if (mount->catalog_checked < call->arrived - DIRECTORY_FRESH_MS && !mount->catalog_running)
            listing_check(mount);
        return 0;
    }
    int rc = call_need_listing(mount, call, !lists && node_exists(mount, node));
    /* While the server is away, paths can be walked through directories that were there: to
     * .pgvecfs, to the reason of a failure, to open files. */
    bool walks = call->kind == CALL_GETATTR || call->kind == CALL_ACCESS;
    if (rc < 0 && rc != -EAGAIN && walks && node_exists(mount, node))
        return 0;
    if (rc < 0 || node_exists(mount, node))
        return rc;
    node->absent_ms = clock_ms();
    return -ENOENT;
}

/* ---- subjects ---- */

static int set_subject(struct mount *mount, struct call *call, find_subject *find)
{
    struct node *node = call->node;
    const struct node *directory = node_table(node);
    const struct relation *relation = node_relation(mount, directory);
    if (relation == NULL || call->gone != 0 || listing_is_doubted(mount)) {
        int rc = call_need_listing(mount, call, false);
        if (rc < 0)
            return rc;
        relation = node_relation(mount, directory);
    }
    if (relation == NULL)
        return -ENOENT;
    struct subject *subject = find(mount, node);
    if (subject == NULL)
        return -ENOMEM;
    node_set_subject(node, subject);
    return 0;
}

/* The relation behind the name has gone: from its name again, for as long as a later catalog knows
 * another one. A node that shows something for good stays what it was: the kernel looks its name up
 * again. */
static int look_again(struct mount *mount, struct call *call, find_subject *find, bool keeps)
{
    struct node *node = call->node;
    uint32_t gone = node->subject->table->relation.oid;
    if (call->gone == gone)
        return -ENOENT;
    if (keeps)
        return -ESTALE;
    call->gone = gone;
    call->counted = 0;
    call->listing_asked = false;
    call->listing_seen = listing_now(mount);
    node_set_subject(node, NULL);
    listing_doubt(mount);
    return set_subject(mount, call, find);
}

/* Whether another call has found, by an older catalog, the relation that has gone. */
static bool has_gone(const struct mount *mount, const struct call *call, bool keeps)
{
    const struct node *node = call->node;
    return call->gone != 0 && node->subject->table->relation.oid == call->gone && !keeps &&
           node->opens == 0 && !listing_is_after(mount, call->listing_seen);
}

bool call_has_seen_failure(const struct call *call)
{
    const struct subject *subject = call->node->subject;
    return call->counted == subject->table->relation.oid &&
           call->failures_seen != subject->failures;
}

void call_count_from_now(struct call *call)
{
    const struct subject *subject = call->node->subject;
    if (call->counted == subject->table->relation.oid)
        return;
    call->counted = subject->table->relation.oid;
    call->failures_seen = subject->failures;
    call->waited = false;
}

int call_need_subject(struct mount *mount, struct call *call, find_subject *find, bool keeps)
{
    struct node *node = call->node;
    if (node->subject != NULL && has_gone(mount, call, keeps))
        node_set_subject(node, NULL);
    int rc = node->subject == NULL ? set_subject(mount, call, find) : 0;
    if (rc == 0 && call_has_seen_failure(call))
        rc =
            node->subject->rc != -ENOENT ? node->subject->rc : look_again(mount, call, find, keeps);
    if (rc == 0)
        call_count_from_now(call);
    return rc;
}

bool call_is_refreshed(const struct call *call)
{
    return call->waited && (int)(call->node->subject->refreshes - call->refreshes_seen) > 0;
}

void call_await_refresh(struct call *call)
{
    const struct subject *subject = call->node->subject;
    if (call->waited)
        return;
    call->waited = true;
    /* A refresh that is under way may have asked the server before this call came. */
    call->refreshes_seen = subject->refreshes + subject->refreshing;
}
