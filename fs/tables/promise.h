/* What callers were told by stat they may open a moment later, whatever has become of it since: cp
 * and tar take anything else for a file replaced under their hands.
 *
 * Each caller has one promise in a list. A caller that is many processes (caller.h) has one, too,
 * of what it was told last, for as many opens as it was told so.
 *
 * Lifetime: a list is {0} at first; promises_clear. Threads: guarded by mount->lock.
 */
#ifndef FS_TABLES_PROMISE_H
#define FS_TABLES_PROMISE_H

#include "fs/tables/caller.h"
#include "fs/tables/version.h"

#include <stddef.h>

enum { PROMISES_AT_MOST = 1024 /* in a list; then the oldest is broken */ };

/* What a look-up has shown. */
struct glance {
    uint64_t nodeid; /* 0: nothing */
    bool asks;       /* without knowing whether it is still that: whoever asks its attributes next
                        waits for the server, even if somebody has it open */
    bool waited;     /* the look-up has waited for a refresh, since this count of them: */
    unsigned refreshes_seen;
};

struct promise {
    caller_id caller;
    int64_t until;           /* clock_ms() */
    struct version *version; /* a reference; NULL: of what has none, or it was told ESTALE, and must
                                not be told so again */
    struct glance glance;    /* if it has only looked up the name, */
    bool told;               /* which is false */
    unsigned opens;          /* that it is good for */
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
/* Notes what it has looked up, if it has not been told anything: so that its stat, or open, is of
 * the path. */
void promise_show(struct promises *promises, caller_id caller, struct version *version,
                  const struct glance *glance);

/* It is kept, or void: it ends, of a caller that is many processes for one of them. */
void promise_keep(struct promises *promises, caller_id caller);

void promises_expire(struct promises *promises); /* frees those whose time is over */
void promises_clear(struct promises *promises);

#endif
