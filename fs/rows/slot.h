/* A slot: one of the folders that the cache has for a database. One daemon at a time has it, by a
 * flock on its file `lock`. That file names the daemon that has the slot, or had it last:
 *
 *   mounted                           starting, mounted or ending; padded to 8 characters
 *   pid 4711
 *   namespace BOOT mnt:[4026531841]   the boot's id, and the namespace in which it is mounted
 *   device 0:57                       of the mount; empty before it is there
 *   mountpoint /mnt/db                up to the end of the file
 *
 * The kernel's unmount ends before the daemon lets go of its lock. A mount that comes in between
 * waits for the lock, since in another slot it would find other inodes and no rows. The text
 * decides only how long to wait: it may be missing, old, or of a daemon in another namespace.
 *
 * Lifetime: slot_take opens, slot_release closes. Threads: one owner; slot_ending any.
 */
#ifndef FS_ROWS_SLOT_H
#define FS_ROWS_SLOT_H

#include "codec/error.h"

struct slot {
    char *path;
    int dir, lock; /* descriptors */
    int number;
    char why[160]; /* for people: why the number is not 0; "" if it is 0 */
};

/* Takes the slot that `mountpoint` had last, else the first that is free; makes the folder
 * `prefix`NUMBER if it is missing. Waits for a slot whose holder is not mounted any more, ten
 * seconds at most, and for one of which that cannot be known; says so on stderr. `mountpoint` NULL:
 * takes the first that is free, without waiting. -EWOULDBLOCK: all are in use; else an errno of the
 * disk. */
MUST_CHECK int slot_take(const char *prefix, const char *mountpoint, struct slot *out,
                         struct error *error);

/* Writes into the lock file that this process is mounted there now. */
void slot_mounted(const struct slot *slot, const char *mountpoint);
/* Writes into the lock file that this process is about to let go. */
void slot_ending(const struct slot *slot);

void slot_release(struct slot *slot);

#endif
