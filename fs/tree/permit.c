#include "fs/tree/permit.h"

#include "fs/tree/query_session.h"

#include <errno.h>
#include <unistd.h>

void caller_of(struct mount *mount, fuse_req_t req, struct caller *out)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);
    out->uid = context->uid;
    out->gid = context->gid;
    out->group_count = 0;
    if (!mount->tree->groups_matter || context->uid == 0)
        return;
    const int most = sizeof out->groups / sizeof *out->groups;
    int n = fuse_req_getgroups(req, most, out->groups);
    out->group_count = n < 0 ? 0 : n < most ? n : most;
}

static bool is_member(const struct caller *caller, gid_t group)
{
    for (int i = 0; i < caller->group_count; i++)
        if (caller->groups[i] == group)
            return true;
    return caller->gid == group;
}

static bool is_writable(const struct node *node)
{
    return node->kind == NODE_VALUE || node->kind == NODE_ASK || node->kind == NODE_SESSION ||
           node->kind == NODE_QUERY;
}

int permit(const struct mount *mount, const struct caller *caller, const struct node *node,
           int mask)
{
    if ((mask & W_OK) && !is_writable(node))
        return -EROFS;
    /* Not EROFS: rm asks before it removes what may not be written, but gives up at that. */
    if ((mask & W_OK) && node->kind == NODE_VALUE && node->field == FIELD_ERROR)
        return -EACCES;
    if (caller->uid == 0)
        return (mask & X_OK) && !node_is_directory(node) ? -EACCES : 0;
    struct stat st;
    node_attributes(mount, node, &st);
    unsigned bits = caller->uid == st.st_uid       ? st.st_mode >> 6
                    : is_member(caller, st.st_gid) ? st.st_mode >> 3
                                                   : st.st_mode;
    return (unsigned)mask & ~bits & (R_OK | W_OK | X_OK) ? -EACCES : 0;
}

int permit_end(const struct mount *mount, const struct caller *caller, const struct node *session)
{
    const struct node *query = session->parent;
    struct stat of_query, of_session;
    int rc = permit(mount, caller, query, W_OK | X_OK);
    node_attributes(mount, query, &of_query);
    node_attributes(mount, session, &of_session);
    bool others = (of_query.st_mode & S_ISVTX) && caller->uid != 0 &&
                  caller->uid != of_query.st_uid && caller->uid != of_session.st_uid;
    return rc == 0 && others ? -EPERM : rc;
}
