#include "fs/rows/snapshot_records.h"

#include <errno.h>
#include <stdlib.h>

struct sweep {
    struct store *store;
    uint32_t relation;
    struct snapshot *all; /* of all records' groups; it is none itself */
    int rc;
};

static int gather_groups(struct snapshot *all, const struct snapshot *snapshot)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < snapshot->group_count; i++) {
        struct group *group = group_ref(snapshot->groups[i]);
        rc = snapshot_add_group(all, group);
        if (rc < 0)
            group_unref(group);
    }
    return rc;
}

/* One that cannot be used names nothing. */
static void gather_record(void *context, const char *kind)
{
    struct sweep *sweep = context;
    struct snapshot *snapshot;
    int rc = snapshot_load_kind(sweep->store, sweep->relation, kind, &snapshot);
    if (rc == 0) {
        rc = gather_groups(sweep->all, snapshot);
        snapshot_unref(snapshot);
    }
    if (rc == -ENOMEM)
        sweep->rc = rc;
}

void snapshot_sweep(struct store *store, uint32_t relation)
{
    struct sweep sweep = {.store = store, .relation = relation};
    uint64_t *ids;
    if (snapshot_new(store, &sweep.all) < 0)
        return; /* the next mount comes by again */
    store_each_record(store, relation, gather_record, &sweep);
    if (sweep.rc == 0 && snapshot_group_ids(sweep.all, &ids) == 0) {
        store_sweep(store, relation, ids, sweep.all->group_count);
        free(ids);
    }
    snapshot_unref(sweep.all);
}

struct any {
    struct store *store;
    uint32_t relation;
    struct snapshot *snapshot;
    int rc;
};

static void load_first(void *context, const char *kind)
{
    struct any *any = context;
    if (any->snapshot == NULL && any->rc != -ENOMEM)
        any->rc = snapshot_load_kind(any->store, any->relation, kind, &any->snapshot);
}

int snapshot_load_any(struct store *store, uint32_t relation, struct snapshot **out)
{
    struct any any = {.store = store, .relation = relation, .rc = -ENOENT};
    store_each_record(store, relation, load_first, &any);
    if (any.snapshot == NULL)
        return any.rc;
    *out = any.snapshot;
    return 0;
}
