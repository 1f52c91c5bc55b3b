/* A class of nodes: what all of one kind of path do. Each is a file here, called NOUN_dir.c or NOUN_file.c, and a line in the
 * directory that its nodes are in; nothing else in fs/ knows of it.
 *
 * A function that a class does not have is NULL, and then holds what its comment says. All are called with mount->lock held, and
 * never wait. -EAGAIN from `ready` means that the call is to be tried again, when the list that it hangs on is called (call.h).
 * Errnos are for the user.
 */
#ifndef FS_TREE_CLASS_H
#define FS_TREE_CLASS_H

#include "codec/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct call;
struct caller;
struct entries;
struct handle;
struct lookup;
struct mount;
struct node;
struct owner;
struct relation;
struct size_news;
struct subject;

enum class_flags {
    CLASS_LASTS = 1,   /* the kernel may keep its name and attributes: they never change */
    CLASS_WRITTEN = 2, /* users write to the file, or make and remove what is in the directory */
    CLASS_REMOVED_ONLY = 4, /* a file that nobody writes, but that can be removed */
    CLASS_UNBOUNDED = 8,    /* anybody can name as many as he likes: few are kept (leftovers.h) */
    CLASS_BY_CATALOG = 16   /* the directory lists what the catalog has, which must be of now */
};

struct node_class {
    mode_t mode; /* type and permissions, unless `attributes` says others */
    unsigned flags;
    size_t size; /* of the struct that embeds the node, as its first member */

    /* Once a node is made; `parent` and `name` are set. NULL: there is nothing to do. Errors: it is freed. */
    int (*begin)(struct node *node);
    void (*clear)(struct node *node); /* frees what it has of its own; NULL: nothing */

    /* ---- directories ---- */

    /* The node of the name, made if need be, not counted as looked up; it is checked when it is used. -ENOENT: there can be none
     * of that name. NULL: there never is. */
    int (*lookup)(struct mount *mount, const struct lookup *lookup, struct node **out);
    /* The node that the name would lead to, if only the server could say whether it does: the look-up should wait for it.
     * NULL, or none: it need not. */
    struct node *(*doubt)(struct mount *mount, const struct lookup *lookup);
    int (*list)(struct mount *mount, struct node *node,
                struct entries *out); /* NULL: it lists nothing */
    /* Whether it is there, by the catalog at hand; NULL: it always is. */
    bool (*exists)(const struct mount *mount, const struct node *node);
    /* The relation that it stands for now, or none. NULL: it stands for none. */
    const struct relation *(*relation)(const struct mount *mount, const struct node *node);
    /* Of one that has files of tables in it (table_file.h): their class; which face a name is of, -1: of none; and of which
     * subject of the relation at hand; NULL: there is none, or no memory. There is one if there is the other. */
    const struct node_class *files;
    int (*face)(const struct node *node, const char *name);
    struct subject *(*subject)(struct mount *mount, const struct node *node, const char *name);
    /* mkdir, rmdir, unlink. The names need not exist. `make` gives a node that is counted as looked up once; `unlink` may give up
     * the lock. NULL: -EPERM if other things can be made in it, else -EROFS. */
    int (*make)(struct mount *mount, struct node *node, const char *name, const struct owner *owner,
                struct node **out);
    int (*remove)(struct mount *mount, struct node *node, const char *name,
                  const struct caller *caller);
    int (*unlink)(struct mount *mount, struct node *node, const char *name,
                  const struct caller *caller);
    /* Something below it has failed: it keeps the reason, a copy. `path`: of what. NULL: it keeps none. */
    void (*keep_reason)(struct node *node, uint64_t path, const char *reason);
    /* The reason, if that path has failed last; NULL: another has, or none. There is one if there is the other. */
    const char *(*kept_reason)(const struct node *node, uint64_t path);

    /* ---- all ---- */

    /* Whether it stays though the kernel has forgotten it. NULL: a directory does if it exists. */
    bool (*stays)(const struct mount *mount, struct node *node);
    /* 0: the call can be answered, -EAGAIN, or the errno that it is answered with. NULL: 0. */
    int (*ready)(struct mount *mount, struct call *call);
    /* Changes what stat says; on entry that is an empty file, or a directory, of its class's mode. NULL: nothing. */
    void (*attributes)(const struct mount *mount, const struct node *node, struct stat *st);
    /* A call is about to be answered: with this, a GETATTR with these attributes. NULL: nothing is to be done. */
    void (*settled)(struct call *call, int rc);
    /* Nothing is at work on it for now. NULL: nothing is to be done. */
    void (*rest)(struct node *node);
    /* A parked call's caller has been killed. NULL: nothing is to be done. */
    void (*interrupted)(struct call *call);
    /* Whether a parked call should be tried again though nothing has happened: asked now and then. NULL: no. */
    bool (*overdue)(const struct call *call);
    /* Why it fails, cut off at `size` bytes; "": it does not. NULL: what is said of the catalog. */
    void (*reason)(struct mount *mount, struct node *node, char *text, size_t size);

    /* ---- files ---- */

    /* Of one that is ready. */
    int (*open)(struct mount *mount, struct call *call, struct handle **out);
    /* What the kernel must be told of its size before it may have the open file. False, or NULL: nothing. */
    bool (*size_news)(const struct node *node, const struct handle *handle, struct size_news *out);
    /* Whether a READ from the page cache (splice, sendfile, a mapping, read-ahead) goes by a size that is only known to be too
     * large, or by pages of older bytes, so that it must get none. NULL: no. */
    bool (*misleads)(const struct node *node, uint64_t offset);
    /* A handle for truncate(2). NULL: its size stays what it is. */
    int (*edit)(struct mount *mount, struct node *node, struct handle **out);
};

#endif
