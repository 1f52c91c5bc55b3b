#include "fs/tree/statement_dir.h"

#include "codec/utf8.h"
#include "fs/base/log.h"
#include "fs/tree/call.h"
#include "fs/tree/entries.h"
#include "fs/tree/table_dir.h"
#include "fs/tree/table_file.h"
#include "fs/tree/table_lookup.h"
#include "fs/tree/user_statement.h"
#include "fs/tree/value_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct statement_node {
    struct node node;
    struct user_statement *statement; /* a reference */
};

static struct user_statement *of(const struct node *node)
{
    return ((struct statement_node *)node)->statement;
}

static void clear(struct node *node) { user_statement_unref(of(node)); }

static const struct relation *relation_of(const struct mount *mount, const struct node *node)
{
    (void)mount;
    return !node->nameless && of(node)->relation.oid != 0 ? &of(node)->relation : NULL;
}

/* ---- what is in a statement ---- */

/* A statement has no DDL. The kernel takes the inode of a removed file for one without a name: so
 * there is none until another text is set, which makes others. */
static int face_of(const struct node *node, const char *name)
{
    int face = table_dir.face(node, name);
    return face < 0 || face == FACE_DDL || of(node)->hidden & 1U << face ? -1 : face;
}

static struct subject *subject_of(struct mount *mount, const struct node *node, const char *name)
{
    return table_dir.subject(mount, node, name);
}

static int look_up_entry(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct node *directory = lookup->parent;
    int field = user_statement_field(lookup->name);
    if (directory->nameless)
        return -ENOENT;
    if (field >= 0)
        return value_file_look_up(mount, lookup, field, &of(directory)->values, out);
    bool hidden =
        face_of(directory, lookup->name) < 0 && table_dir.face(directory, lookup->name) >= 0;
    if (relation_of(mount, directory) == NULL || hidden)
        return -ENOENT;
    return table_dir.lookup(mount, lookup, out);
}

static int list_files(struct mount *mount, struct node *node, struct entries *out)
{
    static const char *const values[] = {"error", "query.sql"};
    int rc = 0;
    if (node->nameless)
        return 0;
    for (size_t i = 0; rc == 0 && i < sizeof values / sizeof *values; i++)
        rc = entries_add(out, node, values[i], false);
    return rc == 0 && relation_of(mount, node) != NULL ? table_dir_list_files(mount, node, out)
                                                       : rc;
}

static int unlink_file(struct mount *mount, struct node *node, const char *name,
                       const struct caller *caller)
{
    int rc = permit(mount, caller, node, W_OK | X_OK);
    int field = user_statement_field(name), face = face_of(node, name);
    if (rc < 0)
        return rc;
    if (node->nameless)
        return -ENOENT;
    if (field >= 0) {
        value_file_unlink(node, field);
        return 0;
    }
    if (relation_of(mount, node) == NULL || table_dir.face(node, name) < 0)
        return -EPERM;
    if (face < 0)
        return -ENOENT;
    of(node)->hidden |= 1U << face;
    return 0;
}

/* ---- the directory ---- */

static bool is_named(const struct mount *mount, const struct node *node)
{
    (void)mount;
    return !node->nameless;
}

static bool stays(const struct mount *mount, struct node *node) { return is_named(mount, node); }

static int need_name(struct mount *mount, struct call *call)
{
    return is_named(mount, call->node) ? 0 : -ENOENT;
}

static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    const struct user_statement *statement = of(node);
    (void)mount;
    if (statement == NULL)
        return;
    st->st_uid = statement->values.owner.uid;
    st->st_gid = statement->values.owner.gid;
    st->st_mode = S_IFDIR | statement->values.owner.mode;
}

static void reason(struct mount *mount, struct node *node, char *text, size_t size)
{
    const struct error *error = &of(node)->error;
    if (error->text[0] != '\0')
        snprintf(text, size, "%s", error->text);
    else
        table_dir.reason(mount, node, text, size);
}

int statement_dir_make(struct mount *mount, struct node *parent, const char *name,
                       const struct owner *owner, struct node **out)
{
    struct node *node;
    struct user_statement *statement;
    if (name[0] == '.' || !utf8_is(name))
        return -EINVAL;
    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    int rc = node_new(mount, parent, &statement_dir, name, &node);
    if (rc < 0)
        return rc;
    rc = user_statement_new(mount, node, &statement);
    if (rc < 0) {
        if (rc == -ENOSPC)
            log_say(LOG_SAY_ERROR,
                    ".sql/%s cannot be made: a mount has %d statements at most; end others with "
                    "rmdir",
                    name, USER_STATEMENTS_AT_MOST);
        node->nameless = true;
        node_forget(mount, node->nodeid, 0);
        return rc;
    }
    statement->values.owner = *owner;
    mount->tree->groups_matter |= ((owner->mode >> 3) ^ owner->mode) & 07;
    ((struct statement_node *)node)->statement = user_statement_ref(statement);
    node->lookups++;
    *out = node;
    return 0;
}

void statement_dir_end(struct mount *mount, struct node *directory)
{
    directory->nameless = true;
    directory->lookups++; /* the directory stays meanwhile */
    user_statement_end(of(directory));
    for (struct call *call = mount->tree->parked; call != NULL; call = call->next)
        if (call->node == directory || call->node->parent == directory)
            wait_make_due(&mount->waits, &call->waiting);
    wait_try_due(&mount->waits);
    node_forget(mount, directory->nodeid, 1);
}

const struct node_class statement_dir = {
    .mode = S_IFDIR | 0777,
    .flags = CLASS_WRITTEN,
    .size = sizeof(struct statement_node),
    .clear = clear,
    .lookup = look_up_entry,
    .doubt = table_lookup_doubt,
    .list = list_files,
    .exists = is_named,
    .relation = relation_of,
    .files = &table_removable_class,
    .face = face_of,
    .subject = subject_of,
    .unlink = unlink_file,
    .stays = stays,
    .ready = need_name,
    .attributes = attributes,
    .reason = reason,
};
