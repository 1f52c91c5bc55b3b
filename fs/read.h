/* READ requests. What is rendered already is answered at once; threads that render answer the rest.
 * Threads that may wait answer READs along with a fetch (fs/views/stream.h), and READs of rows that
 * must be fetched again. A READ gets all the bytes that it asked for, up to the end of the file, or
 * an errno. If its reader is killed it is answered at once, whatever its thread waits for.
 *
 * Threads: called by libfuse's threads, without mount->lock.
 */
#ifndef FS_READ_H
#define FS_READ_H

#include "fs/tree/handle.h"

#include <fuse_lowlevel.h>

/* Calls `visit` for each waiting READ whose reader was interrupted, with the time of that
 * (clock_ms()). If `visit` returns true the READ is answered with EINTR. mount->lock is held. */
void read_tend(struct mount *mount, bool (*visit)(void *context, pid_t thread, int64_t interrupted),
               void *context);

/* Answers all READs that wait, since the mount ends. mount->lock is held. */
void read_fail_all(struct mount *mount);

/* Whether a READ comes from the page cache (splice, sendfile, a mapping, read-ahead) for a file
 * that is read past it. The kernel then uses a size that is only known to be too large, or pages of
 * an older value, so it must get no bytes: programs that splice go on with read(2) after EINVAL. A
 * READ that read(2) sends has a lock owner. */
bool read_is_misled(struct mount *mount, const struct handle *handle, off_t offset,
                    const struct fuse_file_info *file);

/* Answers a READ of a file whose bytes are there, or are rendered: its handle has no `answer`.
 * Takes `req`. */
void read_start(struct mount *mount, fuse_req_t req, struct handle *handle, size_t size,
                off_t offset);

#endif
