/* Calls that may have to wait for the server (tree/call.h). Each is tried at once; one that must wait is parked, and tried again
 * whenever what it waits for has happened. Nobody's thread waits.
 *
 * If something has to be made for one that nobody makes yet, it is parked, too, and its thread makes it, if enough other threads
 * are left.
 *
 * A parked request is answered exactly once: with what it asked for, with the errno of the job it
 * waited for, or with EINTR when its caller got a signal that ends it (request_tend looks: not
 * every signal does).
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include "fs/tree/call.h"

/* What a request says besides. */
struct request_detail {
    const struct fuse_file_info *file; /* of OPEN, OPENDIR */
    struct handle *handle;             /* of READ */
    size_t size;                       /* the same */
    const char *name;                  /* of MKDIR; copied */
    struct owner owner;                /* the same */
    caller_id caller;                  /* of what may be promised something */
};

/* Takes `req`: it is answered now or later. The lock may be given up meanwhile. */
void request_start(struct mount *mount, fuse_req_t req, struct node *node, enum call_kind kind,
                   const struct request_detail *detail);

/* Tries all that are parked: once a second, for what tells nobody. */
void request_retry_all(struct mount *mount);

/* Answers those whose caller is being killed, READs too. Called every 100 ms, without the lock. */
void request_tend(struct mount *mount);

/* Answers all with this errno; the mount ends. */
void request_fail_all(struct mount *mount, int rc);

#endif
