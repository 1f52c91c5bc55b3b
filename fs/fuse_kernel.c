#include "fs/fuse_kernel.h"

#include <fuse_lowlevel.h>
#include <string.h>

static int store(void *context, uint64_t nodeid, uint64_t offset, const void *bytes, size_t size)
{
    /* One piece for each call: libfuse would copy several together first. */
    struct fuse_bufvec piece = FUSE_BUFVEC_INIT(size);
    piece.buf[0].mem = (void *)(uintptr_t)bytes;
    return fuse_lowlevel_notify_store(context, nodeid, (off_t)offset, &piece, 0);
}

static void forget_name(void *context, uint64_t directory, const char *name)
{
    fuse_lowlevel_notify_inval_entry(context, directory, name, strlen(name));
}

struct kernel fuse_kernel(struct fuse_session *session)
{
    return (struct kernel){.store = store, .forget_name = forget_name, .context = session};
}
