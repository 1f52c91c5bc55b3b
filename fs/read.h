/* READ requests: what is rendered already is answered at once, the rest by threads that may render,
 * and reads along with a fetch (fs/views/stream.h), or of rows that must be fetched again, by threads
 * that may wait. A READ is answered with the whole of what it asked for, up to the end of the file,
 * or with an errno; when its reader is killed at once, whatever its thread waits for.
 *
 * Threads: called by libfuse's, without mount->lock.
 */
#ifndef FS_READ_H
#define FS_READ_H

#include "fs/tree/handle.h"

#include <fuse_lowlevel.h>

/* Of the READs that wait, the readers that were interrupted, and when (clock_ms()); those that
 * `visit` is true of are answered with EINTR. mount->lock is held. */
void read_tend(struct mount *mount, bool (*visit)(void *context, pid_t thread, int64_t interrupted),
               void *context);

/* Answers all that wait; the mount ends. mount->lock is held. */
void read_fail_all(struct mount *mount);

/* Whether a READ comes from the page cache (splice, sendfile, a mapping, read-ahead) for a file that is read past it. The kernel then
 * goes by a size that is only known to be too large, or by pages of an older value, so that it must get no bytes: programs that
 * splice go on with read(2) at EINVAL. What read(2) sends has a lock owner. */
bool read_is_misled(struct mount *mount, const struct handle *handle, off_t offset,
                    const struct fuse_file_info *file);

/* Of a file whose bytes are there, or are rendered: of a handle without `answer`. Takes `req`. */
void read_start(struct mount *mount, fuse_req_t req, struct handle *handle, size_t size,
                off_t offset);

#endif
