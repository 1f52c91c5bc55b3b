#include "fs/ops.h"

#include "fs/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char error_xattr[] = "user.pgvecfs.error";

static struct mount *mount_of(fuse_req_t req) { return fuse_req_userdata(req); }

/* ---- the connection ---- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    /* The bytes of a node never change, so that its page cache never has to be invalidated by a
     * changed time or size. */
    conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
    if (conn->capable & FUSE_CAP_EXPLICIT_INVAL_DATA)
        conn->want |= FUSE_CAP_EXPLICIT_INVAL_DATA;
    /* Attributes of every listed file would make every listing a fetch of all. */
    conn->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
    conn->max_readahead = 1 << 20;
}

/* ---- names ---- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount *mount = mount_of(req);
    struct fuse_entry_param entry = {.generation = 0};
    pthread_mutex_lock(&mount->lock);
    struct node *directory = node_find(mount, parent), *node = NULL;
    int rc = directory == NULL ? -ESTALE
                               : node_lookup(mount, directory, name, fuse_req_ctx(req)->pid, &node);
    if (rc == 0) {
        entry.ino = node->nodeid;
        node_attributes(mount, node, &entry.attr);
        if (node->kind == NODE_CONTROL)
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

static void start(fuse_req_t req, fuse_ino_t ino, enum request_kind kind,
                  const struct fuse_file_info *file)
{
    struct mount *mount = mount_of(req);
    pthread_mutex_lock(&mount->lock);
    struct node *node = node_find(mount, ino);
    if (node != NULL)
        request_start(mount, req, node, kind, file);
    pthread_mutex_unlock(&mount->lock);
    if (node == NULL)
        fuse_reply_err(req, ESTALE);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    (void)file;
    start(req, ino, REQUEST_GETATTR, NULL);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    if ((file->flags & O_ACCMODE) != O_RDONLY || (file->flags & O_TRUNC))
        fuse_reply_err(req, EROFS);
    else
        start(req, ino, REQUEST_OPEN, file);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    start(req, ino, REQUEST_OPENDIR, file);
}

/* ---- directories ---- */

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *file)
{
    const struct listing *listing = (const struct listing *)(uintptr_t)file->fh;
    char *page = malloc(size);
    size_t used = 0;
    (void)ino;
    if (page == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    for (size_t i = (size_t)offset; i < listing->count; i++) {
        const struct entry *entry = &listing->entries[i];
        struct stat st = {.st_ino = entry->ino, .st_mode = entry->directory ? S_IFDIR : S_IFREG};
        size_t n = fuse_add_direntry(req, page + used, size - used, entry->name, &st, (off_t)i + 1);
        if (n > size - used)
            break;
        used += n;
    }
    fuse_reply_buf(req, page, used);
    free(page);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    (void)ino;
    listing_free((struct listing *)(uintptr_t)file->fh);
    fuse_reply_err(req, 0);
}

/* ---- open files ---- */

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *file)
{
    read_start(mount_of(req), req, ino, size, offset, file);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct mount *mount = mount_of(req);
    pthread_mutex_lock(&mount->lock);
    struct node *node = node_find(mount, ino);
    if (node != NULL)
        request_close(mount, node, file);
    pthread_mutex_unlock(&mount->lock);
    fuse_reply_err(req, 0);
}

/* ---- why something failed ---- */

static const char *reason_of(const struct mount *mount, const struct node *node)
{
    if (node->kind != NODE_FILE || node->subject == NULL)
        return mount->catalog_error.text;
    const struct version *version = node->version != NULL ? node->version : node->subject->current;
    if (version != NULL && version->state[node->face] == FACE_FAILED &&
        version->reason[node->face] != NULL)
        return version->reason[node->face];
    return node->subject->error.text;
}

/* A line for each file that failed: tools that ask a file's attributes first, as getfattr does,
 * cannot ask the file itself. */
static void reasons_of_table(struct mount *mount, const struct node *node, char *text, size_t size)
{
    const struct relation *relation = node_relation(mount, node);
    struct table *table = relation != NULL ? table_get(mount, relation) : NULL;
    size_t n = 0;
    text[0] = '\0';
    for (int kind = 0; table != NULL && kind < SUBJECT_COUNT; kind++) {
        const struct subject *subject = &table->subjects[kind];
        const struct version *version = subject->current;
        if (subject->error.text[0] != '\0' && n < size)
            n += (size_t)snprintf(text + n, size - n, "%s\n", subject->error.text);
        for (int face = 0; version != NULL && face < FORMAT_COUNT; face++)
            if (version->state[face] == FACE_FAILED && version->reason[face] != NULL && n < size)
                n += (size_t)snprintf(text + n, size - n, "%s.%s: %s\n", node->name,
                                      formats[face]->name, version->reason[face]);
    }
}

/* Copies it, so that nothing is replied under the lock. */
static int find_reason(struct mount *mount, fuse_ino_t ino, char *text, size_t size)
{
    pthread_mutex_lock(&mount->lock);
    const struct node *node = node_find(mount, ino);
    if (node != NULL && node->kind == NODE_TABLE)
        reasons_of_table(mount, node, text, size);
    else
        snprintf(text, size, "%s", node != NULL ? reason_of(mount, node) : "");
    pthread_mutex_unlock(&mount->lock);
    return node == NULL ? -ESTALE : 0;
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    char text[sizeof(struct error)];
    int rc = find_reason(mount_of(req), ino, text, sizeof text);
    size_t n = strlen(text);
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
    int rc = find_reason(mount_of(req), ino, text, sizeof text);
    size_t n = text[0] != '\0' ? sizeof error_xattr : 0;
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

/* ---- everything is read-only ---- */

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                       struct fuse_file_info *file)
{
    (void)ino, (void)attr, (void)to_set, (void)file;
    fuse_reply_err(req, EROFS);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    (void)parent, (void)name, (void)mode, (void)device;
    fuse_reply_err(req, EROFS);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)parent, (void)name, (void)mode;
    fuse_reply_err(req, EROFS);
}

static void op_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent, (void)name;
    fuse_reply_err(req, EROFS);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target, (void)parent, (void)name;
    fuse_reply_err(req, EROFS);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to,
                      const char *as, unsigned flags)
{
    (void)parent, (void)name, (void)to, (void)as, (void)flags;
    fuse_reply_err(req, EROFS);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t to, const char *as)
{
    (void)ino, (void)to, (void)as;
    fuse_reply_err(req, EROFS);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *file)
{
    (void)parent, (void)name, (void)mode, (void)file;
    fuse_reply_err(req, EROFS);
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
    .open = op_open,
    .read = op_read,
    .release = op_release,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_releasedir,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .statfs = op_statfs,
    .setattr = op_setattr,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .unlink = op_remove,
    .rmdir = op_remove,
    .symlink = op_symlink,
    .rename = op_rename,
    .link = op_link,
    .create = op_create,
    .setxattr = op_setxattr,
    .removexattr = op_removexattr,
};
