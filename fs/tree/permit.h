/* Who may do what with a node, by the owner, group and mode that stat shows. The kernel leaves it
 * to us (without default_permissions), because it knows one thing less: what is read-only stays so
 * for root, too. So each operation that a mode guards asks here: LOOKUP (search in the directory),
 * OPEN, OPENDIR, ACCESS, MKDIR, RMDIR, UNLINK, truncate, and reading an attribute.
 *
 * User 0 may do all that can be done at all; nobody may execute files. Other capabilities do not
 * count.
 *
 * Threads: caller_of without mount->lock, since it may look into /proc; the others with it.
 */
#ifndef FS_TREE_PERMIT_H
#define FS_TREE_PERMIT_H

#include "fs/tree/node.h"

#include <fuse_lowlevel.h>

struct caller {
    uid_t uid;
    gid_t gid;
    int group_count; /* the others of the process, if they can matter */
    gid_t groups[256];
};

/* The user who has made something, and what its mode allows whom. */
struct owner {
    uid_t uid;
    gid_t gid;
    mode_t mode; /* of a directory: 0777 at most */
};

void caller_of(struct mount *mount, fuse_req_t req, struct caller *out);

/* `mask`: of R_OK, W_OK, X_OK. 0, -EACCES, or -EROFS: nobody may ever write it. */
MUST_CHECK int permit(const struct mount *mount, const struct caller *caller,
                      const struct node *node, int mask);

/* Whether the caller may remove a directory that he, or another, has made in its parent. */
MUST_CHECK int permit_removal(const struct mount *mount, const struct caller *caller,
                              const struct node *directory);

#endif
