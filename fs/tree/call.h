/* A call from the kernel that may have to wait for the server: GETATTR, ACCESS, OPEN and OPENDIR,
 * LOOKUP of a file that is in doubt (table_lookup.h), MKDIR, READ of a conversation's answers, FLUSH
 * and FSYNC of what the server has to judge. This is what classes of nodes see of it; fs/request.c
 * tries, parks and answers it.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_CALL_H
#define FS_TREE_CALL_H

#include "fs/tree/handle.h"
#include "fs/tree/permit.h"

enum call_kind {
    CALL_LOOKUP, /* looks up the node's name; waits no longer than a second */
    CALL_GETATTR,
    CALL_OPEN,
    CALL_OPENDIR,
    CALL_ACCESS, /* the access is allowed, if the directory is there */
    CALL_MKDIR,
    CALL_READ, /* reads a handle whose bytes are made */
    CALL_FLUSH /* waits for what a handle's flush has begun */
};

struct call {
    struct waiting waiting;  /* hangs on the list that call_waits_on gives */
    struct call *next, **at; /* among all parked calls; at NULL: it is not parked */
    struct mount *mount;
    struct node *node;
    enum call_kind kind;
    caller_id caller;
    int64_t arrived; /* clock_ms() */
    bool parked;     /* the thread that brought it has tried it before */

    /* What the kernel asks: */
    int flags;             /* for OPEN: those of open(2) */
    struct handle *handle; /* for READ and FLUSH */
    size_t size;           /* for READ */
    struct buffer bytes;   /* the answer to READ */
    char *name;            /* for MKDIR */
    struct owner owner;    /* the same */

    /* What the node's class has found out by now: */

    /* on -EAGAIN: what the call waits for; NULL: the node's subject, or the catalog */
    struct wait *on;
    struct after after; /* on -EAGAIN, if the call is not parked yet: its thread then does this */
    /* its caller has just looked up the name: the kernel does so again if the answer is ESTALE */
    bool by_path;
    bool asks;    /* what its caller was shown was in doubt */
    bool changed; /* for LOOKUP: the version in doubt is superseded */
    bool waited;  /* it has waited for a refresh since the count of these was: */
    unsigned refreshes_seen, failures_seen;
    uint32_t counted; /* the relation whose counts these are; 0: none */
    /* listing_now() when the call came: the catalog must have all that was committed then */
    unsigned listing_seen;
    bool listing_asked;
    unsigned listing_failures_seen;
    /* when it came its caller used the node's version (table.h), or was given that instead of
     * ESTALE */
    bool keeps;
    uint32_t gone; /* the relation that the name stood for last, and does not any more; 0: none */
    struct stream *stream; /* for an OPEN that need not wait for the size */
    const void *awaited;   /* what it waits for, or has: good for this call, whatever its version */
    int tries;
};

/* A mount's calls that are parked. */
void call_list(struct call *call);
void call_unlist(struct call *call); /* the call need not be in the list */

/* The list that the call waits on, after it was tried. */
struct wait *call_waits_on(const struct call *call);

/* Tries the calls for this node again that an open of it has kept waiting (node.h: telling). */
void call_retry_node(struct mount *mount, const struct node *node);
/* Whether a call waits for the subject's job, or for a node of the subject. */
bool call_waits_for(const struct mount *mount, const struct subject *subject);

/* What a LOOKUP looks for, and what it knows by now. */
struct lookup call_lookup(const struct call *call);
/* Whether a LOOKUP has waited as long as it may: the kernel may hold a lock. The stat or open that
 * follows waits as long as it takes. */
bool call_looks_no_longer(const struct call *call);

/* ---- for classes: each returns 0, -EAGAIN, or the errno to answer ---- */

/* Needs a catalog read after the call came; if `fresh_will_do`, a fresh one is enough. */
MUST_CHECK int call_need_listing(struct mount *mount, struct call *call, bool fresh_will_do);
/* Needs the directory to be there, for what the call asks of it. */
MUST_CHECK int call_need_directory(struct mount *mount, struct call *call);
/* The node has a subject, of the relation that its directory stands for, and no refresh of it has
 * failed since the call came. `find`: the node's subject, if the relation is known; NULL: no
 * memory. `keeps`: the node shows something for good, so that it cannot have another. */
typedef struct subject *find_subject(struct mount *mount, struct node *node);
MUST_CHECK int call_need_subject(struct mount *mount, struct call *call, find_subject *find,
                                 bool keeps);
/* Whether a refresh that it has waited for is over. */
bool call_is_refreshed(const struct call *call);
/* Makes the call wait for a refresh that begins now or later. */
void call_await_refresh(struct call *call);
/* Whether a refresh of the node's subject has failed while the call waited. call_count_from_now:
 * only failures from now on count. */
bool call_has_seen_failure(const struct call *call);
void call_count_from_now(struct call *call);

#endif
