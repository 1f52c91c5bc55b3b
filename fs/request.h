/* Calls that may have to wait for the server (fs/tree/call.h). Each is tried at once; one that must
 * wait is parked, and tried again when what it waits for has happened. No thread waits meanwhile.
 *
 * If a call needs something that no thread makes yet, the call is parked, too, and its own thread
 * makes it, if enough other threads are left.
 *
 * A parked request is answered exactly once: with what it asked for, with the errno of the job it
 * waited for, or with EINTR if its caller got a signal that ends it (request_tend looks: not every
 * signal does).
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include "fs/tree/call.h"

#include <fuse_lowlevel.h>

/* What else a request says. */
struct request_detail {
    const struct fuse_file_info *file; /* for OPEN, OPENDIR */
    struct handle *handle;             /* for READ and FLUSH */
    size_t size;                       /* for READ */
    const char *name;                  /* for MKDIR; copied */
    struct owner owner;                /* the same */
    caller_id caller;                  /* for calls that may be promised something */
};

/* Takes `req`, which is answered now or later. The lock may be given up meanwhile. */
void request_start(struct mount *mount, fuse_req_t req, struct node *node, enum call_kind kind,
                   const struct request_detail *detail);

/* Tries all parked requests. Called once a second, for events that call no list. */
void request_retry_all(struct mount *mount);

/* Answers requests whose caller is being killed, READs too. Called every 100 ms, without the lock.
 */
void request_tend(struct mount *mount);

/* Answers all requests with this errno, since the mount ends. */
void request_fail_all(struct mount *mount, int rc);

#endif
