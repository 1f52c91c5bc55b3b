/* The low-level FUSE operations. Replies are sent only here, and in request*.c and read.c. */
#ifndef FS_OPS_H
#define FS_OPS_H

#include <fuse_lowlevel.h>

/* The userdata of these operations is the struct mount. */
extern const struct fuse_lowlevel_ops ops;

#endif
