/* What the kernel takes for the size of a file. splice and sendfile read up to there and never ask:
 * a node whose attributes no process has asked for yet has size 0 for them, with success.
 *
 * Storing a byte in the page cache tells the kernel a size. The size holds once the call has
 * returned, even if answers with an older size are still under way: the kernel drops those. This
 * can only raise the size.
 *
 * Threads: any, without mount->lock. No READ of the page that the byte is in may be under way.
 * Errors: what the kernel says; -ENOENT the kernel does not know the node.
 */
#ifndef FS_KERNEL_SIZE_H
#define FS_KERNEL_SIZE_H

#include "fs/base/kernel.h"

/* No file is this long. */
static const uint64_t kernel_size_far = UINT64_C(1) << 50;

/* The file has `size` bytes, not 0, the last of which is `last`. */
MUST_CHECK int kernel_size_tell(const struct kernel *kernel, uint64_t nodeid, uint64_t size,
                                uint8_t last);

/* The file may be as long as this, or longer: splice and sendfile then have to ask for its bytes.
 * The page cache gets no byte that counts. */
MUST_CHECK int kernel_size_raise(const struct kernel *kernel, uint64_t nodeid, uint64_t size);

#endif
