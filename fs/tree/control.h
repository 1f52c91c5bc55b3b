/* The files in .pgvecfs/: status.json, metrics, version, log. Each look-up makes the text anew, if
 * the last one is older than a progress bar may be (control_dir.c). */
#ifndef FS_TREE_CONTROL_H
#define FS_TREE_CONTROL_H

#include "fs/tables/mount.h"

extern const char *const control_names[]; /* NULL-terminated */

/* Appends the text of a file; -ENOENT: there is no file of that name. Called with the lock held. */
MUST_CHECK int control_write(struct mount *mount, const char *name, struct buffer *out);

#endif
