/* What is open: the kernel has nothing of it but a number. A mount that was unmounted lazily ends
 * with files and directories open that it will not hear of any more; this finds them.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_OPENED_H
#define FS_TREE_OPENED_H

struct mount;

/* A part of what is open; all zero: it is not listed. */
struct opened {
    struct opened *next, **at;
    void (*free)(void *whole); /* unlists it, too */
    void *whole;
};

void opened_list(struct mount *mount, struct opened *opened, void (*free)(void *whole),
                 void *whole);
void opened_unlist(struct opened *opened);

/* For the end of the mount. */
void opened_free_all(struct mount *mount);

#endif
