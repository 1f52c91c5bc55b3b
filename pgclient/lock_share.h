/* The part of the server's locks that large transactions share, and which transaction comes next of
 * those that found no room (lock_room.h).
 *
 * A transaction that finds no room asks again. One that has done so for LOCK_CLAIM_MS goes before
 * all others, and the first of these goes first: otherwise one that needs many locks would never
 * find so many free. One that has not asked again for LOCK_CLAIM_MS is taken to have gone.
 * Transactions that want the same number are not told apart.
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
    int64_t alone_until; /* until then only one transaction has locks */
    /* those that were refused; more than fit are not noted */
    struct lock_claim claims[LOCK_CLAIMS];
};

/* A transaction that has `had` locks gets `locks` in their place. All have no more than `most`
 * together, unless it is alone. false: not now; *short_for: for how long there was no room, 0 if
 * there is room, but it is another's turn. */
bool lock_share_take(struct lock_share *share, int64_t had, int64_t locks, int64_t most,
                     int64_t now, int64_t *short_for);

#endif
