/* A class of nodes: what all paths of one kind do. Each class is a file here, named NOUN_dir.c or
 * NOUN_file.c, and a line in the class of the directory that its nodes are in; no other code in fs/
 * knows it.
 *
 * If a class does not have a function it is NULL, and the function's comment says what NULL means.
 * All functions are called with mount->lock held, and never wait. -EAGAIN from `ready` means that
 * the call is to be tried again when the list that it hangs on is called (call.h). Errnos are for
 * the user.
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
struct snapshot;
struct size_news;
struct subject;
struct view;

enum class_flags {
    CLASS_LASTS = 1,   /* the kernel may keep name and attributes: they never change */
    CLASS_WRITTEN = 2, /* users write to the file, or make and remove what is in the directory */
    CLASS_REMOVED_ONLY = 4, /* a file that cannot be written, but removed */
    CLASS_UNBOUNDED = 8,    /* a user can name any number of these: few are kept (leftovers.h) */
    CLASS_BY_CATALOG = 16   /* the directory lists what the catalog has, which must be fresh */
};

struct node_class {
    mode_t mode; /* type and permissions, unless `attributes` sets others */
    unsigned flags;
    size_t size; /* of the struct that embeds the node, as its first member */

    /* Called once for each new node; `parent` and `name` are set. NULL: there is nothing to do. On
     * an error the node is freed. */
    int (*begin)(struct node *node);
    void (*clear)(struct node *node); /* frees what the node owns; NULL: nothing */

    /* ---- directories ---- */

    /* Gives the node of the name, made if need be, not counted as looked up; whether it exists is
     * checked when it is used. -ENOENT: there can be no node of that name. NULL: there never is
     * one. */
    int (*lookup)(struct mount *mount, const struct lookup *lookup, struct node **out);
    /* The node that the name would lead to, if only the server can tell whether it does: then the
     * look-up should wait for it. NULL, or no node: the look-up need not wait. */
    struct node *(*doubt)(struct mount *mount, const struct lookup *lookup);
    int (*list)(struct mount *mount, struct node *node,
                struct entries *out); /* NULL: it lists nothing */
    /* Whether the directory exists, by the catalog at hand; NULL: it always does. */
    bool (*exists)(const struct mount *mount, const struct node *node);
    /* The relation that the directory stands for now, or none. NULL: it stands for none. */
    const struct relation *(*relation)(const struct mount *mount, const struct node *node);
    /* Of one that has files of tables in it (table_file.h): their class; which face a name is of,
     * -1: of none; and of which subject of the relation at hand; NULL: there is none, or no memory.
     * There is one if there is the other. */
    const struct node_class *files;
    int (*face)(const struct node *node, const char *name);
    struct subject *(*subject)(struct mount *mount, const struct node *node, const char *name);
    /* Of files that are views of any kind (FACE_VIEW): which view of this snapshot the name is of.
     * It has a reference to its columns, for the caller to drop. -ENOENT: the snapshot has none of
     * this name. */
    int (*view)(const char *name, struct snapshot *snapshot, struct view *out);
    /* mkdir, rmdir, unlink. The names need not exist. `make` gives a node that is counted as looked
     * up once; `unlink` may give up the lock. NULL: -EPERM if other things can be made in it, else
     * -EROFS. */
    int (*make)(struct mount *mount, struct node *node, const char *name, const struct owner *owner,
                struct node **out);
    int (*remove)(struct mount *mount, struct node *node, const char *name,
                  const struct caller *caller);
    int (*unlink)(struct mount *mount, struct node *node, const char *name,
                  const struct caller *caller);
    /* A node below the directory has failed: the directory keeps a copy of the reason. `path`: that
     * of the node. NULL: it keeps none. */
    void (*keep_reason)(struct node *node, uint64_t path, const char *reason);
    /* The reason, if this path was the last one that failed; NULL: another was, or none has. A
     * class has both of these functions or neither. */
    const char *(*kept_reason)(const struct node *node, uint64_t path);

    /* ---- all ---- */

    /* Whether the node stays though the kernel has forgotten it. NULL: a directory does if it
     * exists. */
    bool (*stays)(const struct mount *mount, struct node *node);
    /* 0: the call can be answered; else -EAGAIN, or the errno to answer. NULL: 0. */
    int (*ready)(struct mount *mount, struct call *call);
    /* Changes what stat says; at first that is an empty file, or a directory, of the class's mode.
     * NULL: nothing to change. */
    void (*attributes)(const struct mount *mount, const struct node *node, struct stat *st);
    /* A call is about to be answered: with this `rc`, or a GETATTR with these attributes. NULL:
     * nothing to do. */
    void (*settled)(struct call *call, int rc);
    /* No call is at work on the node for now. NULL: nothing to do. */
    void (*rest)(struct node *node);
    /* The caller of a parked call has been killed. NULL: nothing to do. */
    void (*interrupted)(struct call *call);
    /* Whether a parked call should be tried again though nothing has happened; called now and then.
     * NULL: no. */
    bool (*overdue)(const struct call *call);
    /* Why the node fails, cut at `size` bytes; "": it does not. NULL: the catalog's reason is
     * shown. */
    void (*reason)(struct mount *mount, struct node *node, char *text, size_t size);

    /* ---- files ---- */

    /* Opens a file that is ready. */
    int (*open)(struct mount *mount, struct call *call, struct handle **out);
    /* What the kernel must be told about the size before it may have the open file. False, or NULL:
     * nothing. */
    bool (*size_news)(const struct node *node, const struct handle *handle, struct size_news *out);
    /* Whether a READ from the page cache (splice, sendfile, a mapping, read-ahead) uses a size that
     * is only known to be too large, or pages of older bytes, so that it must get no bytes. NULL:
     * no. */
    bool (*misleads)(const struct node *node, uint64_t offset);
    /* Gives a handle for truncate(2). NULL: the size stays the same. */
    int (*edit)(struct mount *mount, struct node *node, struct handle **out);
};

#endif
