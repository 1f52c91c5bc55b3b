/* The kernel's table of mounts. It is asked instead of a mount itself, which may not answer.
 *
 * Threads: any. The table is read anew at each call.
 */
#ifndef FS_BASE_MOUNTINFO_H
#define FS_BASE_MOUNTINFO_H

#include "codec/error.h"

enum { MOUNT_DEVICE = 24 }; /* bytes of a device as the table writes it, MAJOR:MINOR */

/* Of the FUSE filesystems mounted on `path` (absolute, without links), the device of the last one.
 * `table`: NULL, or a file to read instead of /proc/self/mountinfo. -ENOENT: there is none; else an
 * errno of the table. */
MUST_CHECK int mountinfo_device(const char *table, const char *path, char out[MOUNT_DEVICE]);

/* Whether one of that device is mounted on `path`: 0, or -ENOENT or an errno of the table. */
MUST_CHECK int mountinfo_find(const char *table, const char *path, const char *device);

#endif
