#include "fs/rows/snapshot_settle.h"

#include "fs/base/log.h"

#include <errno.h>

/* Saves the record of `snapshot`. The row groups of `old` go even if the disk is too full for that:
 * else a disk that they fill would never have room for those of `snapshot`. Until the record is
 * saved, a later mount finds that of `old`, without rows. */
static void save(struct snapshot *snapshot, struct snapshot *old)
{
    int rc = snapshot_save(snapshot);
    if (rc < 0 && !atomic_exchange(&snapshot->unsaved, true))
        log_say(LOG_SAY_ERROR,
                "%s.%s: its record finds no room in the cache %s (%s); if that stays so, it is "
                "fetched again after the next mount",
                snapshot->relation.schema, snapshot->relation.name, store_path(snapshot->store),
                strerror(-rc));
    if (old != NULL && (rc == 0 || rc == -ENOSPC))
        snapshot_forsake(old, rc == 0 ? snapshot : NULL);
}

int snapshot_confirm(struct snapshot *old, const struct version_key *now)
{
    int joined = snapshot_prove(old, now);
    if (joined > 0 || (joined == 0 && old->unsaved))
        save(old, NULL);
    return joined < 0 ? joined : 0;
}

struct snapshot *snapshot_settle(struct snapshot *fresh, struct snapshot *old)
{
    if (fresh == old) {
        if (old->unsaved)
            save(old, NULL);
        return fresh;
    }
    bool same = old != NULL && !old->broken && snapshot_same_content(fresh, old);
    bool same_ids = same && snapshot_same_row_ids(fresh, old) &&
                    strcmp(fresh->key.signature, old->key.signature) == 0 &&
                    !snapshot_has_news(fresh, old);
    if (same && !same_ids && snapshot_take_identity(fresh, old) < 0)
        log_say(LOG_SAY_DEBUG, "no memory to see that a table is the same");
    if (!same_ids || snapshot_confirm(old, &fresh->key) < 0) {
        save(fresh, old);
        return fresh;
    }
    snapshot_hand_over(fresh, old);
    snapshot_unref(fresh);
    return snapshot_ref(old);
}
