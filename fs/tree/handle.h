/* An open file of a table. Threads: guarded by mount->lock, but for what is set when it is made. */
#ifndef FS_TREE_HANDLE_H
#define FS_TREE_HANDLE_H

#include "fs/tree/node.h"
#include "fs/tree/opened.h"
#include "fs/views/stream.h"

/* What fuse_file_info.fh of a NODE_FILE points to. */
struct handle {
    struct opened opened;
    struct handle *next, **at; /* of its node */
    bool extends;              /* what is done with it extends the lease, for who has opened it: */
    caller_id caller;
    struct stream *stream; /* it was opened before its size was known; NULL: it was not */
    bool same;             /* the stream is of its node's version for sure */
    bool read;             /* something was read from the stream */
};

#endif
