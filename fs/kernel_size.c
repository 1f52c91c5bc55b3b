#include "fs/kernel_size.h"

#include <fuse_lowlevel.h>
#include <unistd.h>

static int store(struct fuse_session *session, uint64_t nodeid, uint64_t offset, uint8_t byte)
{
    struct fuse_bufvec piece = FUSE_BUFVEC_INIT(1);
    piece.buf[0].mem = &byte;
    return fuse_lowlevel_notify_store(session, nodeid, (off_t)offset, &piece, 0);
}

/* If the last byte is the first of its page, the kernel then takes the page for complete. That is
 * right: zeros follow it. */
int kernel_size_tell(struct fuse_session *session, uint64_t nodeid, uint64_t size, uint8_t last)
{
    return store(session, nodeid, size - 1, last);
}

/* Stores no byte at the beginning of a page, for the same reason. */
int kernel_size_raise(struct fuse_session *session, uint64_t nodeid, uint64_t size)
{
    return store(session, nodeid, size % (uint64_t)sysconf(_SC_PAGESIZE) == 0 ? size + 1 : size, 0);
}
