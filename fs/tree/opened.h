/* The list of what is open, of which the kernel has only a number. A mount that was unmounted
 * lazily ends while files and directories are open that it will not hear about any more; this list
 * finds them.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_OPENED_H
#define FS_TREE_OPENED_H

struct mount;

/* Part of anything that is open; all zero: it is not listed. */
struct opened {
    struct opened *next, **at;
    void (*free)(void *whole); /* takes it off the list, too */
    void *whole;
};

void opened_list(struct mount *mount, struct opened *opened, void (*free)(void *whole),
                 void *whole);
void opened_unlist(struct opened *opened);

/* Frees all that is open, at the end of the mount. */
void opened_free_all(struct mount *mount);

#endif
