#include "fs/ops.h"

#include "codec/utf8.h"
#include "fs/read.h"
#include "fs/request.h"
#include "fs/tree/entries.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char error_xattr[] = "user.pgvecfs.error";

static struct mount *mount_of(fuse_req_t req) { return fuse_req_userdata(req); }

/* Not to be called under the lock: it may look into /proc. */
static caller_id sender_of(fuse_req_t req)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);
    return caller_find(context->pid, context->uid);
}

/* The same. */
static void caller_of(struct mount *mount, fuse_req_t req, struct caller *out)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);
    out->uid = context->uid;
    out->gid = context->gid;
    out->group_count = 0;
    if (!mount->tree->groups_matter || context->uid == 0)
        return;
    const int most = sizeof out->groups / sizeof *out->groups;
    int n = fuse_req_getgroups(req, most, out->groups);
    out->group_count = n < 0 ? 0 : n < most ? n : most;
}

/* ---- the connection ---- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    /* The bytes of a node never change, so that its page cache never has to be invalidated by a
     * changed time or size. */
    conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
    if (conn->capable & FUSE_CAP_EXPLICIT_INVAL_DATA)
        conn->want |= FUSE_CAP_EXPLICIT_INVAL_DATA;
    /* With the attributes of every listed file, each listing would fetch all tables. */
    conn->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
    conn->max_readahead = 1 << 20;
}

/* ---- names ---- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount *mount = mount_of(req);
    struct fuse_entry_param entry = {.generation = 0};
    struct caller caller;
    caller_of(mount, req, &caller);
    caller_id sender = sender_of(req);
    pthread_mutex_lock(&mount->lock);
    struct node *directory = node_find(mount, parent), *node = NULL;
    struct lookup lookup = {.parent = directory, .name = name, .caller = sender};
    int rc = directory == NULL ? -ESTALE : permit(mount, &caller, directory, X_OK);
    struct node *doubt =
        rc == 0 && directory->class->doubt != NULL ? directory->class->doubt(mount, &lookup) : NULL;
    if (doubt != NULL) {
        request_start(mount, req, doubt, CALL_LOOKUP, &(struct request_detail){.caller = sender});
        pthread_mutex_unlock(&mount->lock);
        return;
    }
    if (rc == 0)
        rc = node_lookup(mount, &lookup, &node);
    if (rc == 0) {
        entry.ino = node->nodeid;
        node_attributes(mount, node, &entry.attr);
        if (node->class->flags & CLASS_LASTS)
            entry.entry_timeout = entry.attr_timeout = 3600;
    }
    pthread_mutex_unlock(&mount->lock);
    if (rc < 0) {
        fuse_reply_err(req, -rc);
    } else if (fuse_reply_entry(req, &entry) == -ENOENT) {
        pthread_mutex_lock(&mount->lock);
        node_forget(mount, entry.ino, 1);
        pthread_mutex_unlock(&mount->lock);
    }
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
    struct mount *mount = mount_of(req);
    pthread_mutex_lock(&mount->lock);
    node_forget(mount, ino, lookups);
    pthread_mutex_unlock(&mount->lock);
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    struct mount *mount = mount_of(req);
    pthread_mutex_lock(&mount->lock);
    for (size_t i = 0; i < count; i++)
        node_forget(mount, forgets[i].ino, forgets[i].nlookup);
    pthread_mutex_unlock(&mount->lock);
    fuse_reply_none(req);
}

/* ---- what may wait ---- */

/* `mask`: what the mode must allow. */
static void start(fuse_req_t req, fuse_ino_t ino, enum call_kind kind,
                  const struct fuse_file_info *file, int mask)
{
    struct mount *mount = mount_of(req);
    struct caller caller;
    const struct request_detail detail = {.file = file, .caller = sender_of(req)};
    caller_of(mount, req, &caller);
    pthread_mutex_lock(&mount->lock);
    struct node *node = node_find(mount, ino);
    int rc = node == NULL ? -ESTALE : mask != 0 ? permit(mount, &caller, node, mask) : 0;
    /* For a file, ACCESS asks its directory: what is known of that is known at once. */
    if (rc == 0 && kind == CALL_ACCESS && !node_is_directory(node))
        node = node->parent;
    if (rc == 0)
        request_start(mount, req, node, kind, &detail);
    pthread_mutex_unlock(&mount->lock);
    if (rc < 0)
        fuse_reply_err(req, -rc);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    (void)file;
    start(req, ino, CALL_GETATTR, NULL, 0);
}

static void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
    start(req, ino, CALL_ACCESS, NULL, mask & (R_OK | W_OK | X_OK));
}

/* The class flags of a node, and whether it is a directory; 0: there is no such node. */
static unsigned flags_of(struct mount *mount, fuse_ino_t ino, bool *directory)
{
    pthread_mutex_lock(&mount->lock);
    const struct node *node = node_find(mount, ino);
    unsigned flags = node != NULL ? node->class->flags : 0;
    *directory = node != NULL && node_is_directory(node);
    pthread_mutex_unlock(&mount->lock);
    return flags;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    int access = file->flags & O_ACCMODE;
    bool writes = access != O_RDONLY || (file->flags & O_TRUNC), directory;
    if (writes && !(flags_of(mount_of(req), ino, &directory) & CLASS_WRITTEN))
        fuse_reply_err(req, EROFS);
    else
        start(req, ino, CALL_OPEN, file, (access != O_WRONLY ? R_OK : 0) | (writes ? W_OK : 0));
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    start(req, ino, CALL_OPENDIR, file, R_OK);
}

/* ---- directories ---- */

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *file)
{
    const struct entries *entries = (const struct entries *)(uintptr_t)file->fh;
    char *page = malloc(size);
    size_t used = 0;
    (void)ino;
    if (page == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    struct entry_piece entry;
    for (uint64_t place = (uint64_t)offset; entries_at(entries, place, &entry);
         place = entry.next) {
        char name[NAME_MAX + 1];
        struct stat st = {.st_ino = entry.ino, .st_mode = entry.directory ? S_IFDIR : S_IFREG};
        snprintf(name, sizeof name, "%.*s%s", (int)entry.size, entry.name,
                 entry.ending != NULL ? entry.ending : "");
        size_t n = fuse_add_direntry(req, page + used, size - used, name, &st, (off_t)entry.next);
        if (n > size - used)
            break;
        used += n;
    }
    fuse_reply_buf(req, page, used);
    free(page);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct mount *mount = mount_of(req);
    (void)ino;
    pthread_mutex_lock(&mount->lock);
    entries_free((struct entries *)(uintptr_t)file->fh);
    pthread_mutex_unlock(&mount->lock);
    fuse_reply_err(req, 0);
}

/* ---- open files ---- */

static struct handle *handle_of(const struct fuse_file_info *file)
{
    return (struct handle *)(uintptr_t)file->fh;
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *file)
{
    struct mount *mount = mount_of(req);
    struct handle *handle = handle_of(file);
    (void)ino;
    if (read_is_misled(mount, handle, offset, file)) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    if (handle->class->answer == NULL) {
        read_start(mount, req, handle, size, offset);
        return;
    }
    pthread_mutex_lock(&mount->lock);
    request_start(mount, req, handle->node, CALL_READ,
                  &(struct request_detail){.handle = handle, .size = size});
    pthread_mutex_unlock(&mount->lock);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct mount *mount = mount_of(req);
    struct handle *handle = handle_of(file);
    (void)ino;
    if (handle->class->finish != NULL)
        handle->class->finish(handle);
    pthread_mutex_lock(&mount->lock);
    handle_close(mount, handle);
    pthread_mutex_unlock(&mount->lock);
    fuse_reply_err(req, 0);
}

/* ---- writing ---- */

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
                     struct fuse_file_info *file)
{
    struct mount *mount = mount_of(req);
    struct handle *handle = handle_of(file);
    struct after after = {0};
    (void)ino;
    int rc = handle->class->write != NULL
                 ? handle->class->write(handle, bytes, size, (uint64_t)offset, &after)
                 : -EBADF;
    bool here = after.run != NULL && after_may_run(mount);
    if (after.run != NULL && !here)
        rc = after.later(after.argument);
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else
        fuse_reply_write(req, size);
    if (here) {
        after.run(after.argument);
        after_done(mount);
    }
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct mount *mount = mount_of(req);
    struct handle *handle = handle_of(file);
    (void)ino;
    int rc = handle->class->flush != NULL ? handle->class->flush(handle) : 0;
    if (rc != -EAGAIN) {
        fuse_reply_err(req, -rc);
        return;
    }
    pthread_mutex_lock(&mount->lock);
    request_start(mount, req, handle->node, CALL_FLUSH, &(struct request_detail){.handle = handle});
    pthread_mutex_unlock(&mount->lock);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *file)
{
    (void)data_only;
    op_flush(req, ino, file);
}

/* For truncate(2) of a file that is not open. *out NULL: its size stays the same. */
static int begin_edit(fuse_req_t req, fuse_ino_t ino, bool resizes, struct handle **out)
{
    struct mount *mount = mount_of(req);
    struct caller caller;
    *out = NULL;
    caller_of(mount, req, &caller);
    pthread_mutex_lock(&mount->lock);
    struct node *node = node_find(mount, ino);
    int rc = node != NULL ? permit(mount, &caller, node, W_OK) : -ESTALE;
    if (rc == 0 && resizes && node->class->edit != NULL)
        rc = node->class->edit(mount, node, out);
    pthread_mutex_unlock(&mount->lock);
    return rc;
}

static int resize_file(fuse_req_t req, fuse_ino_t ino, bool resizes, uint64_t size)
{
    struct mount *mount = mount_of(req);
    struct handle *handle;
    int rc = begin_edit(req, ino, resizes, &handle);
    if (rc < 0 || handle == NULL)
        return rc;
    rc = handle->class->resize(handle, size);
    if (rc == 0)
        rc = handle->class->flush(handle);
    if (handle->class->finish != NULL)
        handle->class->finish(handle);
    pthread_mutex_lock(&mount->lock);
    handle->class->close(mount, handle);
    pthread_mutex_unlock(&mount->lock);
    return rc;
}

/* The size can be set, if the file can be written; setting times succeeds, and does nothing. */
static int set_attributes(fuse_req_t req, fuse_ino_t ino, const struct stat *attr, int to_set,
                          const struct fuse_file_info *file)
{
    const int harmless = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME |
                         FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW;
    bool directory, resizes = to_set & FUSE_SET_ATTR_SIZE;
    if (!(flags_of(mount_of(req), ino, &directory) & CLASS_WRITTEN))
        return -EROFS;
    if (directory || (to_set & ~(harmless | FUSE_SET_ATTR_SIZE)))
        return -EPERM;
    if (file == NULL)
        return resize_file(req, ino, resizes, (uint64_t)attr->st_size);
    struct handle *handle = handle_of(file);
    return resizes && handle->class->resize != NULL
               ? handle->class->resize(handle, (uint64_t)attr->st_size)
               : 0;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                       struct fuse_file_info *file)
{
    int rc = set_attributes(req, ino, attr, to_set, file);
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else
        start(req, ino, CALL_GETATTR, NULL, 0);
}

/* The errno for a program that tries to make, remove or rename something in a directory. */
static int refusal(fuse_req_t req, fuse_ino_t parent)
{
    bool directory;
    return flags_of(mount_of(req), parent, &directory) & CLASS_WRITTEN ? EPERM : EROFS;
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct mount *mount = mount_of(req);
    struct caller caller;
    caller_of(mount, req, &caller);
    const struct owner owner = {caller.uid, caller.gid, mode & 0777};
    pthread_mutex_lock(&mount->lock);
    struct node *node = node_find(mount, parent);
    bool makes = node != NULL && node->class->make != NULL;
    int rc = makes ? permit(mount, &caller, node, W_OK | X_OK) : 0;
    if (makes && rc == 0)
        request_start(mount, req, node, CALL_MKDIR,
                      &(struct request_detail){.name = name, .owner = owner});
    pthread_mutex_unlock(&mount->lock);
    if (!makes || rc < 0)
        fuse_reply_err(req, makes ? -rc : refusal(req, parent));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount *mount = mount_of(req);
    int rc = -refusal(req, parent);
    struct caller caller;
    caller_of(mount, req, &caller);
    pthread_mutex_lock(&mount->lock);
    struct node *node = node_find(mount, parent);
    if (node != NULL && node->class->remove != NULL)
        rc = node->class->remove(mount, node, name, &caller);
    pthread_mutex_unlock(&mount->lock);
    fuse_reply_err(req, -rc);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount *mount = mount_of(req);
    int rc = -refusal(req, parent);
    struct caller caller;
    caller_of(mount, req, &caller);
    pthread_mutex_lock(&mount->lock);
    struct node *node = node_find(mount, parent);
    if (node != NULL && node->class->unlink != NULL)
        rc = node->class->unlink(mount, node, name, &caller);
    pthread_mutex_unlock(&mount->lock);
    fuse_reply_err(req, -rc);
}

/* ---- why something failed ---- */

/* Copies the reason, so that no reply is sent under the lock. */
static int find_reason(fuse_req_t req, fuse_ino_t ino, char *text, size_t size)
{
    struct mount *mount = mount_of(req);
    struct caller caller;
    caller_of(mount, req, &caller);
    pthread_mutex_lock(&mount->lock);
    struct node *node = node_find(mount, ino);
    int rc = node == NULL ? -ESTALE : permit(mount, &caller, node, R_OK);
    if (rc == 0 && node->class->reason != NULL)
        node->class->reason(mount, node, text, size);
    else if (rc == 0)
        snprintf(text, size, "%s", mount->catalog_error.text);
    pthread_mutex_unlock(&mount->lock);
    if (rc == 0)
        utf8_trim(text);
    return rc;
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    char text[sizeof(struct error)];
    int rc = find_reason(req, ino, text, sizeof text);
    size_t n = rc == 0 ? strlen(text) : 0;
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else if (strcmp(name, error_xattr) != 0 || n == 0)
        fuse_reply_err(req, ENODATA);
    else if (size == 0)
        fuse_reply_xattr(req, n);
    else if (size < n)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, text, n);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    char text[sizeof(struct error)];
    int rc = find_reason(req, ino, text, sizeof text);
    size_t n = rc == 0 && text[0] != '\0' ? sizeof error_xattr : 0;
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else if (size == 0)
        fuse_reply_xattr(req, n);
    else if (size < n)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, error_xattr, n);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255, .f_flag = ST_RDONLY};
    (void)ino;
    fuse_reply_statfs(req, &st);
}

/* ---- all else is read-only ---- */

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    (void)name, (void)mode, (void)device;
    fuse_reply_err(req, refusal(req, parent));
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target, (void)name;
    fuse_reply_err(req, refusal(req, parent));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to,
                      const char *as, unsigned flags)
{
    (void)name, (void)to, (void)as, (void)flags;
    fuse_reply_err(req, refusal(req, parent));
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t to, const char *as)
{
    (void)ino, (void)as;
    fuse_reply_err(req, refusal(req, to));
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *file)
{
    (void)name, (void)mode, (void)file;
    fuse_reply_err(req, refusal(req, parent));
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                        size_t size, int flags)
{
    (void)ino, (void)name, (void)value, (void)size, (void)flags;
    fuse_reply_err(req, EROFS);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    (void)ino, (void)name;
    fuse_reply_err(req, EROFS);
}

const struct fuse_lowlevel_ops ops = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .access = op_access,
    .open = op_open,
    .read = op_read,
    .release = op_release,
    .write = op_write,
    .flush = op_flush,
    .fsync = op_fsync,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_releasedir,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .statfs = op_statfs,
    .setattr = op_setattr,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .symlink = op_symlink,
    .rename = op_rename,
    .link = op_link,
    .create = op_create,
    .setxattr = op_setxattr,
    .removexattr = op_removexattr,
};
