/* An open file: fuse_file_info.fh points to it. A handle's class embeds struct handle as its first
 * member, as node classes embed struct node.
 *
 * Lifetime: from its node's class->open until `close`. Threads: as each function says.
 */
#ifndef FS_TREE_HANDLE_H
#define FS_TREE_HANDLE_H

#include "fs/tree/node.h"
#include "fs/tree/opened.h"

struct result;
struct stream;

/* What is to be done once the kernel has been answered, without mount->lock. */
struct after {
    void (*run)(void *argument);  /* NULL: nothing */
    int (*later)(void *argument); /* in place of `run`, on another thread: -ENOMEM */
    void *argument;
};

/* Where the bytes of a READ are: exactly one of these is set. */
struct read_source {
    struct stream *stream;   /* a reference; with `subject` */
    struct version *version; /* a reference; with `subject`, and the view of its rows */
    /* all bytes of the file; they stay until let_go(mount, owner), called with mount->lock held */
    const struct buffer *text;
    bool copied; /* the bytes are in `bytes`, which the reader clears */

    struct subject *subject; /* it keeps the reason if the read fails */
    struct view view;
    void (*let_go)(struct mount *mount, void *owner);
    void *owner;
    struct buffer bytes;
};

enum handle_flags {
    HANDLE_DIRECT = 1,     /* the file is read past the page cache */
    HANDLE_FORGETS = 2,    /* the page cache's bytes of the node are thrown away */
    HANDLE_FLUSHES = 4,    /* close(2) calls `flush` */
    HANDLE_NO_POSITION = 8 /* the file has no size, and no position */
};

struct handle_class {
    /* Gives the bytes from `offset` on, `size` at most; mount->lock is held. NULL: `copy` does */
    int (*read)(struct handle *handle, uint64_t offset, size_t size, struct read_source *out);
    /* Appends the bytes; mount->lock is not held. NULL: `answer` does */
    int (*copy)(struct handle *handle, uint64_t offset, size_t size, struct buffer *out);
    /* READ is a call, which this makes ready: appends the bytes to call->bytes. mount->lock is
     * held. */
    int (*answer)(struct call *call);
    /* FLUSH and FSYNC are calls, too, after `flush` has given -EAGAIN; they are answered with what
     * this gives. mount->lock is held. */
    int (*flushed)(struct call *call);
    void (*interrupted)(struct call *call); /* the caller of such a call was killed */

    /* These four are called without mount->lock. NULL: write gives -EBADF, flush 0, resize -EROFS,
     * and finish does nothing. *after: what else is to be done while the bytes are there. */
    int (*write)(struct handle *handle, const char *bytes, size_t size, uint64_t offset,
                 struct after *after);
    int (*flush)(struct handle *handle);
    int (*resize)(struct handle *handle, uint64_t size);
    void (*finish)(struct handle *handle); /* the kernel closes the file: called before `close` */

    /* Frees the handle; mount->lock is held. */
    void (*close)(struct mount *mount, struct handle *handle);
};

struct handle {
    const struct handle_class *class;
    struct node *node;
    unsigned flags;
    struct opened opened;
};

/* Makes a handle of `size` bytes, zero but for what is given. `free`: called if it is still open
 * when the mount ends. */
MUST_CHECK int handle_new(struct mount *mount, struct node *node, const struct handle_class *class,
                          size_t size, void (*free)(void *handle), struct handle **out);
/* Frees the handle alone, and nothing that it owns. */
void handle_free(struct handle *handle);

/* After RELEASE, or after an OPEN that failed. */
void handle_close(struct mount *mount, struct handle *handle);

/* Whether one more thread of libfuse may itself do what comes after its call. If so, call
 * after_done at the end. */
bool after_may_run(struct mount *mount);
void after_done(struct mount *mount);

#endif
