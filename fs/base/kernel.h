/* What a mount tells the kernel without having been asked. fs/fuse_kernel.h fills it with libfuse's
 * functions, so that the folders below fs/ need not know libfuse; a test fills in its own.
 *
 * Threads: any, without mount->lock: a call may wait for what a process holds that itself waits for
 * an answer of ours. Lifetime: as long as the mount; pointers to it borrow.
 */
#ifndef FS_BASE_KERNEL_H
#define FS_BASE_KERNEL_H

#include "codec/error.h"

#include <stddef.h>
#include <stdint.h>

struct kernel {
    /* Puts bytes into the page cache of a node's file. Borrows them. Negative: what the kernel
     * says; -ENOENT: it does not know the node. */
    int (*store)(void *context, uint64_t nodeid, uint64_t offset, const void *bytes, size_t size);
    /* The kernel is to look this name up again in the directory of that node. */
    void (*forget_name)(void *context, uint64_t directory, const char *name);
    void *context;
};

MUST_CHECK static inline int kernel_store(const struct kernel *kernel, uint64_t nodeid,
                                          uint64_t offset, const void *bytes, size_t size)
{
    return kernel->store(kernel->context, nodeid, offset, bytes, size);
}

static inline void kernel_forget_name(const struct kernel *kernel, uint64_t directory,
                                      const char *name)
{
    kernel->forget_name(kernel->context, directory, name);
}

#endif
