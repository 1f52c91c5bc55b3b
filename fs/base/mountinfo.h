/* The kernel's table of mounts. We ask it and not the mount, which may not answer.
 *
 * Threads: any. Each call reads the table anew.
 */
#ifndef FS_BASE_MOUNTINFO_H
#define FS_BASE_MOUNTINFO_H

#include "codec/error.h"

enum { MOUNT_DEVICE = 24 }; /* bytes of a device as the table writes it, MAJOR:MINOR */

/* Gives the device of the last FUSE filesystem mounted on `path` (absolute, without links).
 * `table`: NULL, or a file to read in place of /proc/self/mountinfo. -ENOENT: there is none; else
 * an errno from reading the table. */
MUST_CHECK int mountinfo_device(const char *table, const char *path, char out[MOUNT_DEVICE]);

/* Whether a filesystem of that device is mounted on `path`: 0, -ENOENT, or an errno from reading
 * the table. */
MUST_CHECK int mountinfo_find(const char *table, const char *path, const char *device);

#endif
