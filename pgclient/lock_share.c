#include "pgclient/lock_share.h"

#include <stddef.h>

static void forget_gone(struct lock_share *share, int64_t now)
{
    for (int i = 0; i < LOCK_CLAIMS; i++)
        if (now - share->claims[i].last >= LOCK_CLAIM_MS)
            share->claims[i] = (struct lock_claim){0};
}

/* Finds the claim of this number; 0: an unused one. NULL: there is none. */
static struct lock_claim *find(struct lock_share *share, int64_t locks)
{
    for (int i = 0; i < LOCK_CLAIMS; i++)
        if (share->claims[i].locks == locks)
            return &share->claims[i];
    return NULL;
}

/* The claim whose turn it is; NULL: none has waited long enough. */
static const struct lock_claim *find_next(const struct lock_share *share, int64_t now)
{
    const struct lock_claim *next = NULL;
    for (int i = 0; i < LOCK_CLAIMS; i++) {
        const struct lock_claim *claim = &share->claims[i];
        if (claim->locks != 0 && now - claim->since >= LOCK_CLAIM_MS &&
            (next == NULL || claim->since < next->since))
            next = claim;
    }
    return next;
}

bool lock_share_take(struct lock_share *share, int64_t had, int64_t locks, int64_t most,
                     int64_t now, int64_t *short_for)
{
    forget_gone(share, now);
    int64_t others = share->taken - had;
    bool room = others == 0 || (now >= share->alone_until && locks <= most - others);
    const struct lock_claim *next = find_next(share, now);
    struct lock_claim *claim = find(share, locks);
    if (room && (next == NULL || next == claim)) {
        share->taken = others + locks;
        if (claim != NULL)
            *claim = (struct lock_claim){0};
        return true;
    }
    if (claim == NULL && (claim = find(share, 0)) != NULL)
        *claim = (struct lock_claim){.locks = locks, .since = now};
    if (claim != NULL)
        claim->last = now;
    *short_for = room || claim == NULL ? 0 : now - claim->since;
    return false;
}
