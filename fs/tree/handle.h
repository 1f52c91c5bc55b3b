/* An open file: what fuse_file_info.fh points to. Its class embeds struct handle as its first member, as node classes do.
 *
 * Lifetime: from its node's class->open until `close`. Threads: what each function says.
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
    int (*later)(void *argument); /* in place of it, by another thread: -ENOMEM */
    void *argument;
};

/* Where the bytes of a READ are: exactly one of these is set. */
struct read_source {
    struct stream *stream;   /* a reference; `subject` and `face` go with it */
    struct version *version; /* a reference; likewise: of a format of its rows */
    const struct buffer
        *text;   /* all of the file; it stays until let_go(mount, owner), with mount->lock held */
    bool copied; /* they are in `bytes`, which the reader clears */

    struct subject *subject; /* it keeps why the read failed */
    int face;
    void (*let_go)(struct mount *mount, void *owner);
    void *owner;
    struct buffer bytes;
};

enum handle_flags {
    HANDLE_DIRECT = 1,     /* it is read past the page cache */
    HANDLE_FORGETS = 2,    /* what the page cache has of the node is thrown away */
    HANDLE_FLUSHES = 4,    /* close(2) is told */
    HANDLE_NO_POSITION = 8 /* it has no size, and no position */
};

struct handle_class {
    /* The bytes from `offset` on, `size` at most; mount->lock is held. NULL: */
    int (*read)(struct handle *handle, uint64_t offset, size_t size, struct read_source *out);
    /* they are appended by this, without it; or NULL: */
    int (*copy)(struct handle *handle, uint64_t offset, size_t size, struct buffer *out);
    /* a READ is a call, which this makes ready: its bytes are appended to call->bytes. mount->lock is held. */
    int (*answer)(struct call *call);
    void (*interrupted)(struct call *call); /* such a call's caller was killed */

    /* Without mount->lock. NULL: -EBADF; 0; -EROFS; nothing. *after: what else is to be done, while the bytes are there. */
    int (*write)(struct handle *handle, const char *bytes, size_t size, uint64_t offset,
                 struct after *after);
    int (*flush)(struct handle *handle);
    int (*resize)(struct handle *handle, uint64_t size);
    void (*finish)(struct handle *handle); /* the kernel closes it: before `close` */

    /* Frees it; mount->lock is held. */
    void (*close)(struct mount *mount, struct handle *handle);
};

struct handle {
    const struct handle_class *class;
    struct node *node;
    unsigned flags;
    struct opened opened;
};

/* One that is all zeros otherwise, of `size` bytes. `free`: for what is left open when the mount ends. */
MUST_CHECK int handle_new(struct mount *mount, struct node *node, const struct handle_class *class,
                          size_t size, void (*free)(void *handle), struct handle **out);
/* Frees it, and nothing else of it. */
void handle_free(struct handle *handle);

/* RELEASE, or an OPEN that came to nothing. */
void handle_close(struct mount *mount, struct handle *handle);

/* Whether one more thread of libfuse may do what comes after its call itself; if so it says after_done. */
bool after_may_run(struct mount *mount);
void after_done(struct mount *mount);

#endif
