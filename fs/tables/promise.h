/* What stat has told a caller, the caller may open a moment later, whatever has changed since: cp
 * and tar would take anything else for a file that was replaced while they work.
 *
 * Each caller has one promise in a list. A caller that is many processes (caller.h) has one, too:
 * for the version that it was told last, and for as many opens as it was told that.
 *
 * Lifetime: a list is {0} at first; promises_clear. Threads: guarded by mount->lock.
 */
#ifndef FS_TABLES_PROMISE_H
#define FS_TABLES_PROMISE_H

#include "fs/tables/caller.h"
#include "fs/tables/version.h"

#include <stddef.h>

enum { PROMISES_AT_MOST = 1024 /* in a list; beyond that the oldest is broken */ };

/* What a look-up has shown. */
struct glance {
    uint64_t nodeid; /* 0: nothing */
    /* it was shown without knowing whether it still holds: the next request for its attributes
     * waits for the server, even if a process has the file open */
    bool asks;
    bool waited; /* the look-up has waited for a refresh since the count of these was: */
    unsigned refreshes_seen;
};

struct promise {
    caller_id caller;
    int64_t until; /* clock_ms() */
    /* a reference; NULL: the file has no version, or the caller was told ESTALE, and must not be
     * told so again */
    struct version *version;
    struct glance glance; /* if the caller has only looked up the name (`told` is false) */
    bool told;            /* stat has told it; false: a look-up has shown it */
    unsigned opens;       /* number of opens that the promise is good for */
};

struct promises {
    struct promise *list; /* the oldest first */
    size_t count, room;
};

/* NULL: nothing is promised. */
const struct promise *promise_find(const struct promises *promises, caller_id caller);

/* Whether somebody is promised a version, and another one than this (NULL: any). */
bool promises_hold(const struct promises *promises, const struct version *but);

/* Replaces what the caller was promised, or counts one more open of it. Without memory nothing is
 * promised. */
void promise_tell(struct promises *promises, caller_id caller, struct version *version);
/* The same, if the caller was told without asking the server: a promise that it has does not last
 * longer by that. Otherwise a caller that asks again and again would be told the same for ever. */
void promise_repeat(struct promises *promises, caller_id caller, struct version *version);
/* Notes what the caller has looked up, if stat has told it nothing: so its stat, or open, is known
 * to be by path. */
void promise_show(struct promises *promises, caller_id caller, struct version *version,
                  const struct glance *glance);

/* The promise was kept, or is void: it ends; if the caller is many processes, for one of them. */
void promise_keep(struct promises *promises, caller_id caller);

void promises_expire(struct promises *promises); /* frees those whose time is over */
void promises_clear(struct promises *promises);

#endif
