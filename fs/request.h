/* Requests that may have to wait for the server: GETATTR, ACCESS, OPEN and OPENDIR, LOOKUP of a file
 * that is in doubt (lookup.h), MKDIR of a query's session, READ of a conversation's answers. Each is tried at once; one that must wait is
 * parked, and tried again whenever something has happened. Nobody's thread waits.
 *
 * One that needs an answer which nobody makes yet is parked, too, and its thread makes the answer,
 * if enough other threads are left; else a querier does.
 *
 * A parked request is answered exactly once: with what it asked for, with the errno of the job it
 * waited for, or with EINTR when its caller got a signal that ends it (request_tend looks: not
 * every signal does).
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include "fs/read.h"
#include "fs/tree/query_session.h"

enum request_kind {
    REQUEST_LOOKUP, /* of what the node is, by its name; for no more than a second */
    REQUEST_GETATTR,
    REQUEST_OPEN,
    REQUEST_OPENDIR,
    REQUEST_ACCESS, /* what is asked is allowed, if the directory is there */
    REQUEST_MKDIR,  /* in a query/ */
    REQUEST_READ    /* of a query/ask */
};

/* What a request says besides. */
struct request_detail {
    const struct fuse_file_info *file;
    const char *name;   /* of MKDIR; copied */
    struct owner owner; /* the same */
    size_t size;        /* of READ */
    caller_id caller;   /* of what may be promised something */
};

/* Takes `req`: it is answered now or later. The lock may be given up meanwhile. */
void request_start(struct mount *mount, fuse_req_t req, struct node *node, enum request_kind kind,
                   const struct request_detail *detail);

/* RELEASE. */
void request_close(struct mount *mount, struct node *node, const struct fuse_file_info *file);

/* Those of this session's files: it has ended. */
void request_retry_session(struct mount *mount, const struct query_session *session);

/* Those of this node that an open of it has kept waiting (node.h: telling). */
void request_retry_node(struct mount *mount, const struct node *node);

/* Tries all that are parked: once a second, for what tells nobody. */
void request_retry_all(struct mount *mount);

/* Answers those whose caller is being killed, READs too. Called every 100 ms, without the lock. */
void request_tend(struct mount *mount);

/* Answers all with this errno; the mount ends. */
void request_fail_all(struct mount *mount, int rc);

#endif
