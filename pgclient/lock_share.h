/* The part of the server's locks that large transactions have together, and which of those that
 * found no room comes next (lock_room.h).
 *
 * Whoever finds no room comes again. One that has done so for LOCK_CLAIM_MS goes before all others,
 * the first of them first: else one that needs much would never find so much free. One that has not
 * come again for so long has gone. Those that want the same number are one and the same here.
 *
 * Lifetime: {0} at first. Threads: its owner's lock guards it. Times are milliseconds of one clock.
 */
#ifndef PGCLIENT_LOCK_SHARE_H
#define PGCLIENT_LOCK_SHARE_H

#include <stdbool.h>
#include <stdint.h>

enum { LOCK_CLAIM_MS = 3000, LOCK_CLAIMS = 16 };

struct lock_claim {
    int64_t locks; /* 0: none */
    int64_t since, last;
};

struct lock_share {
    int64_t taken;
    int64_t alone_until;                   /* till then only one has any */
    struct lock_claim claims[LOCK_CLAIMS]; /* that were refused; further ones are not noted */
};

/* One that has `had` of them gets `locks` in their place: no more than `most` together, unless it
 * is alone. false: not now; *short_for: for how long there was no room, 0 where there is some, and
 * it is another's turn. */
bool lock_share_take(struct lock_share *share, int64_t had, int64_t locks, int64_t most,
                     int64_t now, int64_t *short_for);

#endif
