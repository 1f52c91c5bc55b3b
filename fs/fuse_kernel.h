/* The kernel that a session of libfuse leads to (fs/base/kernel.h). */
#ifndef FS_FUSE_KERNEL_H
#define FS_FUSE_KERNEL_H

#include "fs/base/kernel.h"

struct fuse_session;

/* Borrows the session. */
struct kernel fuse_kernel(struct fuse_session *session);

#endif
