#include "fs/tables/partitions.h"

#include "fs/tree/call.h"
#include "fs/tree/entries.h"
#include "fs/tree/table_dir.h"
#include "pgclient/catalog.h"

static bool exists(const struct mount *mount, const struct node *node)
{
    const struct relation *relation = node_relation(mount, node->parent);
    return relation != NULL && relation->kind == RELATION_PARTITIONED;
}

static int look_up_partition(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    return node_directory(mount, lookup->parent, &table_partition_dir, lookup->name, out);
}

static int list_partitions(struct mount *mount, struct node *node, struct entries *out)
{
    const struct relation *parent = node_relation(mount, node->parent);
    size_t count = 0;
    const struct partition *list =
        parent != NULL ? partitions_of(&mount->partitions, parent->oid, &count) : NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = entries_add(out, node, list[i].name, true);
    return rc;
}

const struct node_class table_partitions_dir = {
    .mode = S_IFDIR | 0555,
    .flags = CLASS_BY_CATALOG,
    .size = sizeof(struct node),
    .lookup = look_up_partition,
    .list = list_partitions,
    .exists = exists,
    .ready = call_need_directory,
};
