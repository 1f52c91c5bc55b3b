#include "fs/rows/store_parts.h"

#include "codec/bytes.h"
#include "codec/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_SIZE = 16 }; /* bytes of a record's head */
static const char record_magic[8] = {'p', 'g', 'v', 'e', 'c', 'r', 'e', 1};

const char *store_path(const struct store *store) { return store->slot.path; }

int store_slot(const struct store *store, const char **why)
{
    *why = store->slot.why;
    return store->slot.number;
}

void store_mounted(const struct store *store, const char *mountpoint)
{
    slot_mounted(&store->slot, mountpoint);
}

void store_ending(const struct store *store) { slot_ending(&store->slot); }

uint64_t store_used(const struct store *store) { return store->used; }

uint64_t store_limit(const struct store *store) { return store->limit; }

uint64_t store_new_id(struct store *store) { return atomic_fetch_add(&store->next_id, 1); }

enum { ID_TIME_SHIFT = 24 }; /* so many bits of an id are below its time, in seconds */

uint64_t store_id_end(void) { return (uint64_t)record_seconds_most() << ID_TIME_SHIFT; }

void store_note_id(struct store *store, uint64_t id)
{
    uint64_t next = store->next_id, end = store_id_end();
    while (id < end && id >= next && !atomic_compare_exchange_weak(&store->next_id, &next, id + 1))
        ;
}

bool store_parse_group_name(const char *name, uint64_t *id)
{
    char own[STORE_NAME_SIZE];
    *id = strtoull(name, NULL, 16);
    snprintf(own, sizeof own, "%016" PRIx64 ".rows", *id);
    return strcmp(name, own) == 0;
}

void store_index_name(uint64_t id, const char *suffix, char name[STORE_NAME_SIZE])
{
    snprintf(name, STORE_NAME_SIZE, "%016" PRIx64 ".hnsw%s", id, suffix);
}

bool store_parse_index_name(const char *name, const char *suffix, uint64_t *id)
{
    char own[STORE_NAME_SIZE];
    *id = strtoull(name, NULL, 16);
    store_index_name(*id, suffix, own);
    return strcmp(name, own) == 0;
}

static bool parse_relation_name(const char *name, uint32_t *relation)
{
    char own[STORE_NAME_SIZE];
    *relation = (uint32_t)strtoul(name, NULL, 10);
    snprintf(own, sizeof own, "%" PRIu32, *relation);
    return *relation != 0 && strcmp(name, own) == 0;
}

DIR *store_open_folder(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL && fd >= 0)
        close(fd);
    return folder;
}

void store_each(struct store *store, void (*visit)(void *, uint32_t), void *context)
{
    DIR *folder = store_open_folder(store->dir, ".");
    if (folder == NULL)
        return;
    struct dirent *entry;
    uint32_t relation;
    while ((entry = readdir(folder)) != NULL)
        if (parse_relation_name(entry->d_name, &relation))
            visit(context, relation);
    closedir(folder);
}

/* Whether a file is left over: index files of a relation whose rows are not known any more, what an
 * interrupted save has left, and names of row groups that no record can have. */
static bool is_left_over(int folder, const char *name)
{
    uint64_t id;
    return (store_parse_group_name(name, &id) && id >= store_id_end()) ||
           store_parse_index_name(name, ".new", &id) ||
           (store_parse_index_name(name, "", &id) &&
            faccessat(folder, "table.record", F_OK, AT_SYMLINK_NOFOLLOW) < 0);
}

/* The most bytes of a row group's file: what it has besides the rows' bytes is no more than
 * those. */
#define GROUP_FILE_MOST (4 * ROWGROUP_BYTES_MOST)

/* Counts the files that are there, and lets new ids begin behind all of theirs. */
static void count_relation(void *context, uint32_t relation)
{
    struct store *store = context;
    char name[STORE_NAME_SIZE];
    snprintf(name, sizeof name, "%" PRIu32, relation);
    DIR *folder = store_open_folder(store->dir, name);
    if (folder == NULL && (errno == ENOTDIR || errno == ELOOP))
        unlinkat(store->dir, name, 0); /* it is no folder; a link would lead out of the cache */
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        uint64_t id;
        struct stat st;
        bool index = store_parse_index_name(entry->d_name, "", &id);
        if (is_left_over(dirfd(folder), entry->d_name) &&
            unlinkat(dirfd(folder), entry->d_name, 0) == 0)
            continue;
        if ((!index && !store_parse_group_name(entry->d_name, &id)) ||
            fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        /* A file larger than any of ours must not drive out all others. */
        uint64_t size = (uint64_t)st.st_size;
        if (size > (index ? store->limit : GROUP_FILE_MOST) &&
            unlinkat(dirfd(folder), entry->d_name, 0) == 0)
            continue;
        if (store_count(store, (struct file_key){id, relation, index}, size) == 0)
            store->used += size;
        if (!index)
            store_note_id(store, id);
    }
    if (folder != NULL)
        closedir(folder);
}

int store_open(const char *dir, const struct store_name *name, uint64_t limit, struct store **out,
               struct error *error)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return -ENOMEM;
    store->limit = limit;
    pthread_mutex_init(&store->making_room, NULL);
    pthread_mutex_init(&store->dropping, NULL);
    pthread_mutex_init(&store->counting, NULL);
    char *prefix;
    uint32_t role = (uint32_t)hash64(name->role, strlen(name->role));
    int rc = asprintf(&prefix, "%s/%016" PRIx64 "-%" PRIu32 "-%08" PRIx32 "-", dir, name->system_id,
                      name->database, role) < 0
                 ? -ENOMEM
                 : 0;
    if (rc == 0) {
        rc = slot_take(prefix, name->mountpoint, &store->slot, error);
        free(prefix);
    }
    if (rc < 0) {
        pthread_mutex_destroy(&store->making_room);
        pthread_mutex_destroy(&store->dropping);
        pthread_mutex_destroy(&store->counting);
        free(store);
        return rc;
    }
    store->dir = store->slot.dir;
    /* Ids of lost files are not used again either, as long as the clock does not go back. */
    store->next_id = (uint64_t)time(NULL) << ID_TIME_SHIFT;
    store_each(store, count_relation, store);
    *out = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    slot_release(&store->slot);
    pthread_mutex_destroy(&store->making_room);
    pthread_mutex_destroy(&store->dropping);
    pthread_mutex_destroy(&store->counting);
    file_sizes_clear(&store->sizes);
    free(store);
}

static void group_name(uint32_t relation, uint64_t id, char name[STORE_NAME_SIZE])
{
    snprintf(name, STORE_NAME_SIZE, "%" PRIu32 "/%016" PRIx64 ".rows", relation, id);
}

/* Opens a file to be written. `how`: O_EXCL or O_TRUNC. */
static int open_new(struct store *store, uint32_t relation, const char *name, int how)
{
    char folder[STORE_NAME_SIZE];
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | how;
    snprintf(folder, sizeof folder, "%" PRIu32, relation);
    int fd = openat(store->dir, name, flags, 0600);
    if (fd < 0 && errno == ENOENT && (mkdirat(store->dir, folder, 0700) == 0 || errno == EEXIST))
        fd = openat(store->dir, name, flags, 0600);
    return fd < 0 ? -errno : fd;
}

static int write_pieces(int fd, const struct iovec *pieces, int count)
{
    for (int i = 0; i < count; i++) {
        const uint8_t *at = pieces[i].iov_base;
        size_t left = pieces[i].iov_len;
        while (left > 0) {
            ssize_t n = write(fd, at, left);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return n < 0 ? -errno : -EIO;
            at += n;
            left -= (size_t)n;
        }
    }
    return 0;
}

int store_put_group(struct store *store, uint32_t relation, uint64_t id,
                    const struct rowgroup_image *image)
{
    if (atomic_fetch_add(&store->used, image->size) + image->size > store->limit) {
        store->used -= image->size;
        return -ENOSPC;
    }
    char name[STORE_NAME_SIZE];
    group_name(relation, id, name);
    /* O_EXCL: else two threads that put it back would count it twice */
    int fd = open_new(store, relation, name, O_EXCL);
    int rc = fd < 0 ? fd : write_pieces(fd, image->pieces, image->count);
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0)
        rc = store_count(store, (struct file_key){id, relation, false}, image->size);
    if (fd >= 0 && rc < 0)
        unlinkat(store->dir, name, 0);
    if (rc < 0)
        store->used -= image->size;
    return rc == -EDQUOT ? -ENOSPC : rc;
}

int store_put_rows(struct store *store, uint32_t relation, uint64_t id, const struct rowgroup *rows,
                   const struct schema *schema)
{
    bool small = store->used > store->limit / 2;
    int rc = -ENOSPC;
    for (; rc == -ENOSPC; small = true) {
        struct rowgroup_image image;
        rc = rowgroup_encode(rows, schema, small, &image);
        if (rc < 0)
            return rc;
        rc = store_put_group(store, relation, id, &image);
        rowgroup_image_clear(&image);
        if (small)
            break;
    }
    return rc;
}

static int read_file(int dir, const char *name, uint64_t most, uint8_t **bytes, size_t *size)
{
    /* O_NONBLOCK: a FIFO would block */
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct stat st;
    int rc = fstat(fd, &st) < 0 ? -errno : 0;
    if (rc == 0 && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > most))
        rc = -EBADMSG;
    uint8_t *at = rc == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    if (rc == 0 && at == NULL)
        rc = -ENOMEM;
    size_t got = 0;
    while (rc == 0 && got < (size_t)st.st_size) {
        ssize_t n = pread(fd, at + got, (size_t)st.st_size - got, (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            rc = n < 0 ? -errno : -EBADMSG;
        else
            got += (size_t)n;
    }
    close(fd);
    if (rc < 0) {
        free(at);
        return rc;
    }
    *bytes = at;
    *size = got;
    return 0;
}

int store_get_group(struct store *store, uint32_t relation, uint64_t id, uint64_t most,
                    uint8_t **bytes, size_t *size)
{
    char name[STORE_NAME_SIZE];
    group_name(relation, id, name);
    int rc = read_file(store->dir, name, most, bytes, size);
    if (rc == 0)
        utimensat(store->dir, name, NULL, AT_SYMLINK_NOFOLLOW); /* its last use */
    return rc;
}

int store_map_group(struct store *store, uint32_t relation, uint64_t id, uint64_t most,
                    struct mapping **out)
{
    char name[STORE_NAME_SIZE];
    group_name(relation, id, name);
    int fd = openat(store->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int rc = mapping_open(fd, most, out);
    close(fd);
    if (rc == 0)
        utimensat(store->dir, name, NULL, AT_SYMLINK_NOFOLLOW);
    return rc;
}

bool store_has_group(struct store *store, uint32_t relation, uint64_t id)
{
    char name[STORE_NAME_SIZE];
    group_name(relation, id, name);
    return faccessat(store->dir, name, R_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void store_drop_group(struct store *store, uint32_t relation, uint64_t id)
{
    store_drop(store, (struct file_key){id, relation, false});
}

/* ---- index files ---- */

int store_open_index(struct store *store, uint32_t relation, uint64_t id,
                     char name[STORE_INDEX_NAME])
{
    char folder[STORE_NAME_SIZE], own[STORE_NAME_SIZE] = "";
    snprintf(folder, sizeof folder, "%" PRIu32, relation);
    int fd = openat(store->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    store_index_name(id, "", own);
    memcpy(name, own, STORE_INDEX_NAME);
    utimensat(fd, name, NULL, AT_SYMLINK_NOFOLLOW);
    return fd;
}

static uint64_t file_size(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)
               ? (uint64_t)st.st_size
               : 0;
}

int store_put_index(struct store *store, uint32_t relation, uint64_t id, uint64_t size,
                    int (*write)(void *, int, const char *), void *context)
{
    char name[STORE_INDEX_NAME], own[STORE_NAME_SIZE];
    if (atomic_fetch_add(&store->used, size) + size > store->limit) {
        store->used -= size;
        return -ENOSPC;
    }
    snprintf(own, sizeof own, "%" PRIu32, relation);
    int made = mkdirat(store->dir, own, 0700) < 0 && errno != EEXIST ? -errno : 0;
    int folder = made < 0 ? made : store_open_index(store, relation, id, name);
    int rc = folder < 0 ? folder : 0;
    if (rc == 0) {
        rc = write(context, folder, name);
        uint64_t now = file_size(folder, name);
        struct file_key key = {id, relation, true};
        store->used += now;
        if (store_count(store, key, now) < 0) {
            store_drop(store, key);
            store->used -= now;
            rc = -ENOMEM;
        }
        close(folder);
    }
    store->used -= size;
    return rc == -EDQUOT ? -ENOSPC : rc;
}

uint64_t store_index_size(struct store *store, uint32_t relation, uint64_t id)
{
    char name[STORE_NAME_SIZE], path[2 * STORE_NAME_SIZE];
    store_index_name(id, "", name);
    snprintf(path, sizeof path, "%" PRIu32 "/%s", relation, name);
    return file_size(store->dir, path);
}

void store_drop_index(struct store *store, uint32_t relation, uint64_t id)
{
    store_drop(store, (struct file_key){id, relation, true});
}

/* ---- records ---- */

static void record_name(uint32_t relation, const char *kind, const char *suffix,
                        char name[STORE_NAME_SIZE])
{
    snprintf(name, STORE_NAME_SIZE, "%" PRIu32 "/%s.record%s", relation, kind, suffix);
}

int store_put_record(struct store *store, uint32_t relation, const char *kind,
                     const struct buffer *record)
{
    char name[STORE_NAME_SIZE], fresh[STORE_NAME_SIZE];
    record_name(relation, kind, "", name);
    record_name(relation, kind, ".new", fresh);
    uint8_t head[HEAD_SIZE];
    if (record->size > RECORD_BYTES_MOST)
        return -EFBIG;
    memcpy(head, record_magic, sizeof record_magic);
    store_le64(head + 8, hash64(record->data, record->size));
    struct iovec pieces[] = {{head, sizeof head}, {record->data, record->size}};
    int fd = open_new(store, relation, fresh, O_TRUNC);
    int rc = fd < 0 ? fd : write_pieces(fd, pieces, 2);
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && renameat(store->dir, fresh, store->dir, name) < 0)
        rc = -errno;
    if (rc < 0)
        unlinkat(store->dir, fresh, 0);
    return rc == -EDQUOT ? -ENOSPC : rc;
}

int store_get_record(struct store *store, uint32_t relation, const char *kind, struct buffer *out)
{
    char name[STORE_NAME_SIZE];
    record_name(relation, kind, "", name);
    uint8_t *bytes;
    size_t size;
    int rc = read_file(store->dir, name, HEAD_SIZE + RECORD_BYTES_MOST, &bytes, &size);
    if (rc < 0)
        return rc;
    if (size < HEAD_SIZE || memcmp(bytes, record_magic, sizeof record_magic) != 0 ||
        load_le64(bytes + 8) != hash64(bytes + HEAD_SIZE, size - HEAD_SIZE))
        rc = -EBADMSG;
    else
        rc = buffer_append(out, bytes + HEAD_SIZE, size - HEAD_SIZE);
    free(bytes);
    return rc;
}

void store_drop_record(struct store *store, uint32_t relation, const char *kind)
{
    char name[STORE_NAME_SIZE];
    record_name(relation, kind, "", name);
    unlinkat(store->dir, name, 0);
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void store_sweep(struct store *store, uint32_t relation, const uint64_t *ids, size_t count)
{
    char name[STORE_NAME_SIZE];
    snprintf(name, sizeof name, "%" PRIu32, relation);
    DIR *folder = store_open_folder(store->dir, name);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        uint64_t id;
        if (store_parse_group_name(entry->d_name, &id) &&
            bsearch(&id, ids, count, sizeof *ids, compare_ids) == NULL)
            store_drop_group(store, relation, id);
    }
    if (folder != NULL)
        closedir(folder);
}

void store_drop_relation(struct store *store, uint32_t relation)
{
    char name[STORE_NAME_SIZE];
    snprintf(name, sizeof name, "%" PRIu32, relation);
    DIR *folder = store_open_folder(store->dir, name);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        uint64_t id;
        if (store_parse_group_name(entry->d_name, &id))
            store_drop_group(store, relation, id);
        else if (store_parse_index_name(entry->d_name, "", &id))
            store_drop_index(store, relation, id);
        else
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder != NULL)
        closedir(folder);
    unlinkat(store->dir, name, AT_REMOVEDIR);
}

void store_each_record(struct store *store, uint32_t relation,
                       void (*visit)(void *context, const char *kind), void *context)
{
    static const char suffix[] = ".record";
    char name[STORE_NAME_SIZE];
    snprintf(name, sizeof name, "%" PRIu32, relation);
    DIR *folder = store_open_folder(store->dir, name);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        size_t n = strlen(entry->d_name), tail = strlen(suffix);
        if (n <= tail || n - tail >= sizeof name || strcmp(entry->d_name + n - tail, suffix) != 0)
            continue;
        memcpy(name, entry->d_name, n - tail);
        name[n - tail] = '\0';
        visit(context, name);
    }
    if (folder != NULL)
        closedir(folder);
}

void store_touch(struct store *store, uint32_t relation)
{
    char name[STORE_NAME_SIZE];
    snprintf(name, sizeof name, "%" PRIu32, relation);
    /* A folder that is missing is made later, and is new then anyway. */
    utimensat(store->dir, name, NULL, AT_SYMLINK_NOFOLLOW);
}
