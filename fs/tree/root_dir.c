#include "fs/tree/root_dir.h"

#include "fs/tree/call.h"
#include "fs/tree/control_dir.h"
#include "fs/tree/entries.h"
#include "fs/tree/schema_dir.h"
#include "fs/tree/sql_dir.h"
#include "pgclient/catalog.h"

#include <string.h>

static const char control_name[] = ".pgvecfs", sql_name[] = ".sql";

static int look_up_entry(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    bool sql = strcmp(lookup->name, sql_name) == 0 && mount->options->sql != SQL_OFF;
    const struct node_class *class = strcmp(lookup->name, control_name) == 0 ? &control_dir
                                     : sql                                   ? &sql_dir
                                                                             : &schema_dir;
    return node_directory(mount, lookup->parent, class, lookup->name, out);
}

static int list_schemas(struct mount *mount, struct node *node, struct entries *out)
{
    int rc = mount->options->list_control ? entries_add(out, node, control_name, true) : 0;
    if (rc == 0 && mount->options->list_sql && mount->options->sql != SQL_OFF)
        rc = entries_add(out, node, sql_name, true);
    for (size_t i = 0; rc == 0 && i < mount->catalog->schema_count; i++)
        rc = entries_add_sql(out, node, mount->catalog->schemas[i]);
    return rc;
}

/* The root is always there, only its list may have to wait. */
static int need_list(struct mount *mount, struct call *call)
{
    return call->kind == CALL_OPENDIR ? call_need_directory(mount, call) : 0;
}

const struct node_class root_dir = {
    .mode = S_IFDIR | 0555,
    .flags = CLASS_BY_CATALOG,
    .size = sizeof(struct node),
    .lookup = look_up_entry,
    .list = list_schemas,
    .ready = need_list,
};
