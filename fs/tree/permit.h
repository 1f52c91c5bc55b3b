/* What a caller may do with a node, by the owner, group and mode that stat shows. Without
 * default_permissions the kernel leaves this to us. It would not know that read-only nodes are
 * read-only for root, too. So each operation that a mode guards asks here: LOOKUP (search in the
 * directory), OPEN, OPENDIR, ACCESS, MKDIR, RMDIR, UNLINK, truncate, and reading an attribute.
 *
 * User 0 may do all that can be done at all; no user may execute files. Other capabilities do not
 * count.
 *
 * Threads: with mount->lock.
 */
#ifndef FS_TREE_PERMIT_H
#define FS_TREE_PERMIT_H

#include "fs/tree/node.h"

#include <unistd.h>

struct caller {
    uid_t uid;
    gid_t gid;
    int group_count; /* the process's other groups, if they can matter */
    gid_t groups[256];
};

/* The user who has made something, its group and its mode. */
struct owner {
    uid_t uid;
    gid_t gid;
    mode_t mode; /* for a directory: 0777 at most */
};

/* `mask`: of R_OK, W_OK, X_OK. 0, -EACCES, or -EROFS: no user may ever write it. */
MUST_CHECK int permit(const struct mount *mount, const struct caller *caller,
                      const struct node *node, int mask);

/* Whether the caller may remove a directory that this user, or another, has made in its parent. */
MUST_CHECK int permit_removal(const struct mount *mount, const struct caller *caller,
                              const struct node *directory);

#endif
