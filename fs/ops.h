/* The low-level FUSE operations. Only here, and in request.c, is anything replied. */
#ifndef FS_OPS_H
#define FS_OPS_H

#include <fuse_lowlevel.h>

/* Their userdata is the struct mount. */
extern const struct fuse_lowlevel_ops ops;

#endif
