#include "fs/tree/sql_dir.h"

#include "fs/tree/entries.h"
#include "fs/tree/statement_dir.h"
#include "fs/tree/user_statement.h"

#include <errno.h>

static int look_up_statement(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct node *statement = node_named(mount, lookup->parent, lookup->name);
    if (statement == NULL)
        return -ENOENT;
    *out = statement;
    return 0;
}

static int list_statements(struct mount *mount, struct node *node, struct entries *out)
{
    int rc = 0;
    (void)node;
    for (const struct user_statement *statement = mount->tree->user_statements;
         rc == 0 && statement != NULL; statement = statement->next)
        rc = entries_add_ino(out, statement->directory->name, statement->directory->ino, true);
    return rc;
}

static int make(struct mount *mount, struct node *node, const char *name, const struct owner *owner,
                struct node **out)
{
    if (node_named(mount, node, name) != NULL)
        return -EEXIST;
    return statement_dir_make(mount, node, name, owner, out);
}

static int end_statement(struct mount *mount, struct node *node, const char *name,
                         const struct caller *caller)
{
    struct node *statement = node_named(mount, node, name);
    if (statement == NULL)
        return -ENOENT;
    int rc = permit_removal(mount, caller, statement);
    if (rc == 0)
        statement_dir_end(mount, statement);
    return rc;
}

/* A user who writes a statement reads all that the mount's role may: so only the mount's owner does,
 * if the mount does not say otherwise. Then it is as for /tmp. */
static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    bool all = mount->options->allow_other && mount->options->sql == SQL_ALL;
    (void)node;
    st->st_mode = S_IFDIR | (all ? S_ISVTX | 0777 : 0755);
}

const struct node_class sql_dir = {
    .mode = S_IFDIR | 0755,
    .flags = CLASS_WRITTEN,
    .size = sizeof(struct node),
    .lookup = look_up_statement,
    .list = list_statements,
    .make = make,
    .remove = end_statement,
    .attributes = attributes,
};

void sql_dir_free_all(struct mount *mount)
{
    while (mount->tree->user_statements != NULL)
        statement_dir_end(mount, mount->tree->user_statements->directory);
}
