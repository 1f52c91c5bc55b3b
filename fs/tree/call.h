/* A call of the kernel's that may have to wait for the server: GETATTR, ACCESS, OPEN and OPENDIR, LOOKUP of a file that is in
 * doubt (table_lookup.h), MKDIR, READ of a conversation's answers. Here is what classes of nodes see of it; fs/request.c tries,
 * parks and answers it.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_CALL_H
#define FS_TREE_CALL_H

#include "fs/tree/handle.h"
#include "fs/tree/permit.h"

enum call_kind {
    CALL_LOOKUP, /* of what the node is, by its name; for no more than a second */
    CALL_GETATTR,
    CALL_OPEN,
    CALL_OPENDIR,
    CALL_ACCESS, /* what is asked is allowed, if the directory is there */
    CALL_MKDIR,
    CALL_READ /* of a handle whose bytes are made */
};

struct call {
    struct waiting waiting;  /* hung up on call_waits_on */
    struct call *next, **at; /* among all that are parked; at NULL: it is not */
    struct mount *mount;
    struct node *node;
    enum call_kind kind;
    caller_id caller;
    int64_t arrived; /* clock_ms() */
    bool parked;     /* it has been tried before, by the thread that brought it */

    /* What is asked: */
    int flags;             /* of OPEN: as of open(2) */
    struct handle *handle; /* of READ */
    size_t size;           /* the same */
    struct buffer bytes;   /* its answer */
    char *name;            /* of MKDIR */
    struct owner owner;    /* the same */

    /* What the node's class has found out by now. */
    struct wait *on;    /* -EAGAIN: what it waits for; NULL: the node's subject, or the catalog */
    struct after after; /* -EAGAIN, of one that is not parked yet: its thread does this then, */
    bool
        by_path; /* its caller has just looked up the name: the kernel looks again if the answer is ESTALE */
    bool asks;    /* what it was shown was in doubt */
    bool changed; /* of LOOKUP: what is in doubt is superseded */
    bool waited;  /* for a refresh, since this count of them: */
    unsigned refreshes_seen, failures_seen;
    uint32_t counted;      /* the relation whose counts these are; 0: none */
    unsigned listing_seen; /* listing_now() when it came: what it must know has been committed */
    bool listing_asked;
    unsigned listing_failures_seen;
    bool
        keeps; /* it has come while its caller went by the node's version (table.h), or was given that instead of ESTALE */
    uint32_t gone; /* the relation that its name stood for last, and does not any more; 0: none */
    struct stream *stream; /* of an OPEN that need not wait for the size */
    const void *awaited;   /* what it waits for, or has: good, whatever version it is of */
    int tries;
};

/* A mount's calls that are parked. */
void call_list(struct call *call);
void call_unlist(struct call *call); /* it may not be listed */

/* What it waits for, after it has been tried. */
struct wait *call_waits_on(const struct call *call);

/* Tries again the calls for this node that an open of it has kept waiting (node.h: telling). */
void call_retry_node(struct mount *mount, const struct node *node);
/* Whether somebody waits for the subject's job, or for a node of it. */
bool call_waits_for(const struct mount *mount, const struct subject *subject);

/* What a LOOKUP looks for, with what it knows by now. */
struct lookup call_lookup(const struct call *call);

/* ---- for classes: each returns 0, -EAGAIN, or the errno to answer ---- */

/* The catalog is of after the call came; or, if that is enough, fresh. */
MUST_CHECK int call_need_listing(struct mount *mount, struct call *call, bool fresh_will_do);
/* The directory is there, for what is asked of it. */
MUST_CHECK int call_need_directory(struct mount *mount, struct call *call);
/* The node has a subject, of the relation that its directory stands for, and no refresh of it has failed since the call came.
 * `find`: the node's subject, if the relation is known; NULL: no memory. `keeps`: the node shows something for good, so that it
 * cannot have another. */
typedef struct subject *find_subject(struct mount *mount, struct node *node);
MUST_CHECK int call_need_subject(struct mount *mount, struct call *call, find_subject *find,
                                 bool keeps);
/* Whether a refresh that it has waited for is over. */
bool call_is_refreshed(const struct call *call);
/* It waits for a refresh that begins now, or later. */
void call_await_refresh(struct call *call);
/* Whether a refresh of the node's subject has failed while it waited; and: that subject's count from now on. */
bool call_has_seen_failure(const struct call *call);
void call_count_from_now(struct call *call);

#endif
