#include "fs/tree/schema_dir.h"

#include "fs/base/name.h"
#include "fs/tables/listing.h"
#include "fs/tree/call.h"
#include "fs/tree/entries.h"
#include "fs/tree/table_dir.h"
#include "pgclient/catalog.h"

#include <stdlib.h>
#include <string.h>

struct schema_node {
    struct node node;
    char *schema; /* as in SQL */
};

static struct schema_node *of(const struct node *node) { return (struct schema_node *)node; }

static int begin(struct node *node)
{
    return name_decode(node->name, strlen(node->name), &of(node)->schema);
}

static void clear(struct node *node) { free(of(node)->schema); }

static bool exists(const struct mount *mount, const struct node *node)
{
    return listing_has_schema(mount, of(node)->schema);
}

static int look_up_table(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    return node_directory(mount, lookup->parent, &table_dir, lookup->name, out);
}

static int list_tables(struct mount *mount, struct node *node, struct entries *out)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < mount->catalog->relation_count; i++) {
        const struct relation *relation = &mount->catalog->relations[i];
        if (relation->parent == 0 && strcmp(relation->schema, of(node)->schema) == 0)
            rc = entries_add_sql(out, node, relation->name);
    }
    return rc;
}

const struct node_class schema_dir = {
    .mode = S_IFDIR | 0555,
    .flags = CLASS_BY_CATALOG,
    .size = sizeof(struct schema_node),
    .begin = begin,
    .clear = clear,
    .lookup = look_up_table,
    .list = list_tables,
    .exists = exists,
    .ready = call_need_directory,
};
