#include "fs/tree/session_dir.h"

#include "fs/base/log.h"
#include "fs/tree/answer_file.h"
#include "fs/tree/call.h"
#include "fs/tree/entries.h"
#include "fs/tree/value_file.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static const char plan_name[] = "plan.json", results_name[] = "results.";

struct session_node {
    struct node node;
    struct query_session *session; /* a reference */
};

static struct session_node *of(const struct node *node) { return (struct session_node *)node; }

static void clear(struct node *node) { query_session_unref(of(node)->session); }

/* ---- what is in a session ---- */

static int look_up_answer(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct query_session *session = of(lookup->parent)->session;
    const char *name = lookup->name;
    size_t n = strlen(results_name);
    struct result_key key = {.kind = RESULT_ROWS,
                             .format = -1,
                             .path = node_path(lookup->parent, name),
                             .asked = session->asked,
                             .asker = &session->asker};
    if (strncmp(name, results_name, n) == 0)
        key.format = query_format(name + n);
    if (key.format < 0) {
        key.kind = RESULT_PLAN;
        key.format = format_find("jsonl", strlen("jsonl"));
        if (strcmp(name, plan_name) != 0)
            return -ENOENT;
    }
    return answer_file_look_up(mount, lookup, &key, out);
}

static int look_up_entry(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct node *directory = lookup->parent;
    if (directory->nameless)
        return -ENOENT;
    int field = query_session_field(lookup->name);
    if (field >= 0)
        return value_file_look_up(mount, lookup, field, &of(directory)->session->values, out);
    return look_up_answer(mount, lookup, out);
}

/* Does not list the answers: a user who copies the whole mount must not ask what others have
 * prepared, nor wait for it, nor be told of its errors. */
static int list_values(struct mount *mount, struct node *node, struct entries *out)
{
    int rc = 0;
    (void)mount;
    for (int i = 0; rc == 0 && !node->nameless && i < FIELD_COUNT; i++)
        rc = entries_add(out, node, query_session_field_name(i), false);
    return rc;
}

/* Sets a value back to its default, or empties `error`. The kernel takes the inode for one without
 * a name, so from now on another file has this name. */
static int unlink_value(struct mount *mount, struct node *node, const char *name,
                        const struct caller *caller)
{
    int field = query_session_field(name), rc = permit(mount, caller, node, W_OK | X_OK);
    if (rc < 0)
        return rc;
    if (node->nameless)
        return -ENOENT;
    if (field < 0)
        return -EPERM;
    value_file_unlink(node, field);
    struct query_session *session = query_session_ref(of(node)->session);
    pthread_mutex_unlock(&mount->lock);
    rc = query_session_reset(session, field);
    pthread_mutex_lock(&mount->lock);
    query_session_unref(session);
    return rc;
}

/* ---- the directory ---- */

static bool is_named(const struct mount *mount, struct node *node)
{
    (void)mount;
    return !node->nameless;
}

static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    const struct query_session *session = of(node)->session;
    (void)mount;
    if (session == NULL)
        return;
    st->st_uid = session->values.owner.uid;
    st->st_gid = session->values.owner.gid;
    st->st_mode = S_IFDIR | session->values.owner.mode;
}

int session_dir_make(struct mount *mount, struct node *query, const char *name,
                     const struct owner *owner, struct node **out)
{
    struct node *node;
    struct query_session *session;
    if (name[0] == '.')
        return -EINVAL;
    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    int rc = node_new(mount, query, &session_dir, name, &node);
    if (rc < 0)
        return rc;
    rc = query_session_new(mount, node, &session);
    if (rc < 0) {
        if (rc == -ENOSPC)
            log_say(
                LOG_SAY_ERROR,
                "query/%s cannot be made: a mount has %d sessions at most; end others with rmdir",
                name, QUERY_SESSIONS_AT_MOST);
        node->nameless = true;
        node_forget(mount, node->nodeid, 0);
        return rc;
    }
    session->values.owner = *owner;
    mount->tree->groups_matter |= ((owner->mode >> 3) ^ owner->mode) & 07;
    of(node)->session = query_session_ref(session);
    node->lookups++;
    *out = node;
    return 0;
}

/* Tries the calls again for the directory, and for what is in it. */
static void retry_calls(struct mount *mount, const struct node *directory)
{
    for (struct call *call = mount->tree->parked; call != NULL; call = call->next)
        if (call->node == directory || call->node->parent == directory)
            wait_make_due(&mount->waits, &call->waiting);
    wait_try_due(&mount->waits);
}

void session_dir_end(struct mount *mount, struct node *directory)
{
    struct query_session *session = query_session_ref(of(directory)->session);
    directory->nameless = true;
    directory->lookups++; /* the directory stays meanwhile */
    query_session_end(session);
    retry_calls(mount, directory);
    query_session_unref(session);
    node_forget(mount, directory->nodeid, 1);
}

void session_dir_end_all(struct mount *mount)
{
    while (mount->tree->query_sessions != NULL)
        session_dir_end(mount, mount->tree->query_sessions->directory);
}

const struct node_class session_dir = {
    .mode = S_IFDIR | 0777,
    .flags = CLASS_WRITTEN,
    .size = sizeof(struct session_node),
    .clear = clear,
    .lookup = look_up_entry,
    .list = list_values,
    .exists = node_exists_in_parent,
    .unlink = unlink_value,
    .stays = is_named,
    .ready = call_need_directory,
    .attributes = attributes,
};
