/* What callers were told by stat they may open a moment later, whatever has become of it since: cp
 * and tar take anything else for a file replaced under their hands.
 *
 * Each caller has one promise in a list. A caller that is many processes (caller.h) has one, too,
 * of what it was told last, for as many opens as it was told so.
 *
 * Lifetime: a list is {0} at first; promises_clear. Threads: guarded by mount->lock.
 */
#ifndef FS_PROMISE_H
#define FS_PROMISE_H

#include "fs/caller.h"

#include <stddef.h>

enum { PROMISES_AT_MOST = 1024 /* in a list; then the oldest is broken */ };

struct version;

struct promise {
    caller_id caller;
    int64_t until;           /* clock_ms() */
    struct version *version; /* a reference; NULL: of what has none, or it was told ESTALE, and must
                                not be told so again */
    uint64_t nodeid;         /* that was looked up; 0: none */
    unsigned opens;          /* that it is good for */
    bool told; /* false: it has only looked up the name, so that its stat is of the path */
};

struct promises {
    struct promise *list; /* the oldest first */
    size_t count, room;
};

/* NULL: nothing is promised. */
const struct promise *promise_find(const struct promises *promises, caller_id caller);

/* Replaces what it was promised, or counts one more open of it. If there is no memory nothing is
 * promised. */
void promise_tell(struct promises *promises, caller_id caller, struct version *version);
/* The same, told without asking the server: what was promised already lasts no longer for it. Who
 * asks again and again would otherwise be told the same for ever. */
void promise_repeat(struct promises *promises, caller_id caller, struct version *version);
/* Notes what it has looked up, if it has not been told anything. */
void promise_show(struct promises *promises, caller_id caller, struct version *version,
                  uint64_t nodeid);

/* It is kept, or void: it ends, of a caller that is many processes for one of them. */
void promise_keep(struct promises *promises, caller_id caller);

void promises_expire(struct promises *promises); /* frees those whose time is over */
void promises_clear(struct promises *promises);

#endif
