/* The least that a FUSE filesystem does to deliver bytes: one file, served from memory. What
 * pgvecfs's reads of a cached table are compared with; read-ahead, threads and replies are as there
 * (fs/ops.c, fs/main.c).
 *
 *   memfs FILE MOUNTPOINT         serves FILE's bytes as MOUNTPOINT/file, in the foreground
 */
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_INO = 2, REQUEST_THREADS = 16 };
static const double forever = 3600;

static const char *data;
static size_t data_size;

static int attributes(fuse_ino_t ino, struct stat *attr)
{
    memset(attr, 0, sizeof *attr);
    if (ino != FUSE_ROOT_ID && ino != FILE_INO)
        return ENOENT;
    attr->st_ino = ino;
    attr->st_mode = ino == FILE_INO ? S_IFREG | 0444 : S_IFDIR | 0555;
    attr->st_nlink = 1;
    attr->st_uid = getuid();
    attr->st_size = ino == FILE_INO ? (off_t)data_size : 0;
    return 0;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
    conn->max_readahead = 1 << 20;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {.entry_timeout = forever, .attr_timeout = forever};
    if (parent != FUSE_ROOT_ID || strcmp(name, "file") != 0) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    entry.ino = FILE_INO;
    attributes(FILE_INO, &entry.attr);
    fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct stat attr;
    (void)file;
    int rc = attributes(ino, &attr);
    if (rc != 0)
        fuse_reply_err(req, rc);
    else
        fuse_reply_attr(req, &attr, forever);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    (void)ino;
    file->keep_cache = 1;
    fuse_reply_open(req, file);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *file)
{
    (void)ino;
    (void)file;
    size_t from = (size_t)offset < data_size ? (size_t)offset : data_size;
    if (size > data_size - from)
        size = data_size - from;
    fuse_reply_buf(req, data + from, size);
}

static const struct fuse_lowlevel_ops ops = {
    .init = op_init, .lookup = op_lookup, .getattr = op_getattr, .open = op_open, .read = op_read};

static int map_file(const char *path)
{
    struct stat attr;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &attr) < 0 || attr.st_size == 0)
        return -1;
    data_size = (size_t)attr.st_size;
    void *bytes = mmap(NULL, data_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return -1;
    data = bytes;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: memfs FILE MOUNTPOINT\n", stderr);
        return 2;
    }
    if (map_file(argv[1]) < 0) {
        fprintf(stderr, "memfs: %s: cannot be mapped\n", argv[1]);
        return 1;
    }
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    int rc = 1;
    if (config == NULL || fuse_opt_add_arg(&args, "memfs") < 0 ||
        fuse_opt_add_arg(&args, "-oro") < 0)
        return 1;
    fuse_loop_cfg_set_clone_fd(config, 0);
    fuse_loop_cfg_set_max_threads(config, REQUEST_THREADS);
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, NULL);
    if (session != NULL && fuse_set_signal_handlers(session) == 0 &&
        fuse_session_mount(session, argv[2]) == 0) {
        rc = fuse_session_loop_mt(session, config) == 0 ? 0 : 1;
        fuse_session_unmount(session);
    }
    if (session != NULL) {
        fuse_remove_signal_handlers(session);
        fuse_session_destroy(session);
    }
    fuse_loop_cfg_destroy(config);
    fuse_opt_free_args(&args);
    return rc;
}
