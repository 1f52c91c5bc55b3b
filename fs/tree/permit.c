#include "fs/tree/permit.h"

#include <errno.h>
#include <unistd.h>

static bool is_member(const struct caller *caller, gid_t group)
{
    for (int i = 0; i < caller->group_count; i++)
        if (caller->groups[i] == group)
            return true;
    return caller->gid == group;
}

int permit(const struct mount *mount, const struct caller *caller, const struct node *node,
           int mask)
{
    unsigned flags = node->class->flags;
    if ((mask & W_OK) && !(flags & (CLASS_WRITTEN | CLASS_REMOVED_ONLY)))
        return -EROFS;
    /* Not EROFS: before rm removes a file that may not be written it asks the user, but after EROFS
     * it gives up. */
    if ((mask & W_OK) && (flags & CLASS_REMOVED_ONLY))
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

int permit_removal(const struct mount *mount, const struct caller *caller,
                   const struct node *directory)
{
    struct stat of_parent, own;
    int rc = permit(mount, caller, directory->parent, W_OK | X_OK);
    node_attributes(mount, directory->parent, &of_parent);
    node_attributes(mount, directory, &own);
    bool others = (of_parent.st_mode & S_ISVTX) && caller->uid != 0 &&
                  caller->uid != of_parent.st_uid && caller->uid != own.st_uid;
    return rc == 0 && others ? -EPERM : rc;
}
