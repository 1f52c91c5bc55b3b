#include "fs/rows/slot.h"

#include "codec/buffer.h"
#include "codec/clock.h"
#include "fs/base/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 64, STATE_SIZE = 8, TEXT_MOST = 2 * PATH_MAX, NAMESPACE_SIZE = 128 };
enum { LEAVING_MS = 10000, UNKNOWN_MS = 1000, SAY_MS = 1000, POLL_MS = 20 };

/* What a lock file says. */
struct holder {
    enum { UNKNOWN, STAYS, LEAVES } state;
    long pid; /* 0: unknown */
    char mountpoint[PATH_MAX];
};

struct search {
    const char *prefix, *mountpoint;
    int64_t began_ms;
    bool said;
    struct holder first; /* the holder of slot 0 */
};

/* ---- the lock file ---- */

/* Two processes with equal texts see the same mounts. "": unknown. Machines that share a cache
 * directory have namespaces of equal numbers, but other boots. */
static void read_namespace(char out[NAMESPACE_SIZE])
{
    char boot[40] = "", mounts[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    bool known = file != NULL && fscanf(file, "%39s", boot) == 1 &&
                 readlink("/proc/self/ns/mnt", mounts, sizeof mounts - 1) > 0;
    if (file != NULL)
        fclose(file);
    out[0] = '\0';
    if (known)
        snprintf(out, NAMESPACE_SIZE, "%s %s", boot, mounts);
}

/* The rest of the line that begins with `key`; NULL: there is none. */
static const char *find_field(const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, key, n) == 0 && at[n] == ' ')
            return at + n + 1;
    }
    return NULL;
}

static void copy_line(const char *from, char *out, size_t size)
{
    size_t n = from == NULL ? 0 : strcspn(from, "\n");
    if (n >= size)
        n = 0;
    if (n > 0)
        memcpy(out, from, n);
    out[n] = '\0';
}

/* Finds whether the process that wrote the text is still mounted, or soon will be. */
static void judge(const char *text, struct holder *holder)
{
    char device[MOUNT_DEVICE], its_namespace[NAMESPACE_SIZE], namespace[NAMESPACE_SIZE];
    copy_line(find_field(text, "device"), device, sizeof device);
    copy_line(find_field(text, "namespace"), its_namespace, sizeof its_namespace);
    read_namespace(namespace);
    if (strncmp(text, "ending ", 7) == 0) {
        holder->state = LEAVES;
    } else if (strncmp(text, "mounted ", 8) == 0 && namespace[0] != '\0' &&
               strcmp(its_namespace, namespace) == 0) {
        int rc = mountinfo_find(NULL, holder->mountpoint, device);
        holder->state = rc == 0 ? STAYS : rc == -ENOENT ? LEAVES : UNKNOWN;
    }
}

static void read_holder(int lock, struct holder *holder)
{
    char *text = malloc(TEXT_MOST);
    ssize_t n = text != NULL ? pread(lock, text, TEXT_MOST - 1, 0) : 0;
    *holder = (struct holder){.state = UNKNOWN};
    if (n > 0) {
        text[n] = '\0';
        const char *pid = find_field(text, "pid"), *path = find_field(text, "mountpoint");
        holder->pid = pid != NULL ? strtol(pid, NULL, 10) : 0;
        if (path != NULL && strlen(path) < PATH_MAX) /* a path may contain newlines */
            strcpy(holder->mountpoint, path);
        judge(text, holder);
    }
    free(text);
}

/* Writes the text. On a full disk that fails in silence, and a mount that comes next waits for a
 * shorter time. */
static void write_holder(const struct slot *slot, const char *state, const char *device,
                         const char *mountpoint)
{
    char namespace[NAMESPACE_SIZE];
    struct buffer text = {0};
    read_namespace(namespace);
    if (buffer_printf(&text, "%-*s\npid %d\nnamespace %s\ndevice %s\nmountpoint %s", STATE_SIZE,
                      state, (int)getpid(), namespace, device, mountpoint) == 0) {
        /* Writes the whole text before it cuts the file: what stood there is of a process that has
         * gone. */
        ssize_t n = pwrite(slot->lock, text.data, text.size, 0);
        if (n >= 0 && ftruncate(slot->lock, n) < 0)
            n = -1;
        (void)n;
    }
    buffer_clear(&text);
}

void slot_mounted(const struct slot *slot, const char *mountpoint)
{
    char device[MOUNT_DEVICE];
    if (mountinfo_device(NULL, mountpoint, device) == 0)
        write_holder(slot, "mounted", device, mountpoint);
}

void slot_ending(const struct slot *slot)
{
    ssize_t n = pwrite(slot->lock, "ending  ", STATE_SIZE, 0);
    (void)n;
}

/* ---- one slot ---- */

static int make_dirs(char *path, struct error *error)
{
    for (char *slash = path; slash != NULL;) {
        slash = strchr(slash + 1, '/');
        if (slash != NULL)
            *slash = '\0';
        int rc = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
        if (rc < 0)
            return error_set(
                error, rc,
                "cannot make the cache directory %s: %s; name another with -o cache_dir=DIR", path,
                strerror(-rc));
        if (slash != NULL)
            *slash = '/';
    }
    return 0;
}

/* Makes the folder private: other users must not read the tables from the cache. */
static int check_private(int dir, const char *path, struct error *error)
{
    struct stat st;
    if (fstat(dir, &st) < 0)
        return -errno;
    if (st.st_uid != geteuid())
        return error_set(
            error, -EPERM,
            "the cache directory %s belongs to another user; name another with -o cache_dir=DIR",
            path);
    if ((st.st_mode & 0777) != 0700 && fchmod(dir, 0700) < 0)
        return error_set(error, -errno, "cannot make the cache directory %s private (0700)", path);
    return 0;
}

static int open_slot(const char *prefix, int number, struct slot *slot, struct error *error)
{
    *slot = (struct slot){.dir = -1, .lock = -1, .number = number};
    if (asprintf(&slot->path, "%s%d", prefix, number) < 0) {
        slot->path = NULL;
        return -ENOMEM;
    }
    int rc = make_dirs(slot->path, error);
    if (rc < 0)
        return rc;
    slot->dir = open(slot->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (slot->dir < 0)
        return error_set(error, -errno, "cannot open the cache directory %s: %s", slot->path,
                         strerror(errno));
    rc = check_private(slot->dir, slot->path, error);
    if (rc < 0)
        return rc;
    slot->lock = openat(slot->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return slot->lock >= 0 ? 0
                           : error_set(error, -errno,
                                       "cannot write to the cache directory %s: %s; name another "
                                       "with -o cache_dir=DIR",
                                       slot->path, strerror(errno));
}

static void say_waiting(struct search *search, const struct holder *holder)
{
    search->said = true;
    fprintf(stderr,
            "pgvecfs: waiting until the mount that has just ended%s%s lets go of its cache\n",
            holder->mountpoint[0] != '\0' ? " on " : "", holder->mountpoint);
}

/* -EWOULDBLOCK: another process has the slot, and will not let go soon. */
static int lock_slot(struct search *search, const struct slot *slot)
{
    while (flock(slot->lock, LOCK_EX | LOCK_NB) < 0) {
        struct holder holder;
        int rc = -errno;
        if (rc == -EINTR)
            continue;
        if (rc != -EWOULDBLOCK || search->mountpoint == NULL)
            return rc;
        read_holder(slot->lock, &holder);
        if (slot->number == 0)
            search->first = holder;
        int64_t waited = clock_ms() - search->began_ms;
        if (holder.state == STAYS || waited >= (holder.state == LEAVES ? LEAVING_MS : UNKNOWN_MS))
            return rc;
        if (holder.state == LEAVES && waited >= SAY_MS && !search->said)
            say_waiting(search, &holder);
        usleep(POLL_MS * 1000);
    }
    return 0;
}

static int take_one(struct search *search, int number, struct slot *slot, struct error *error)
{
    int rc = open_slot(search->prefix, number, slot, error);
    if (rc == 0)
        rc = lock_slot(search, slot);
    if (rc < 0)
        slot_release(slot);
    return rc;
}

/* ---- which one ---- */

/* Whether this mount point had the slot last. */
static bool had_it(const struct search *search, int number)
{
    char *path;
    struct holder holder;
    if (asprintf(&path, "%s%d/lock", search->prefix, number) < 0)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    free(path);
    if (fd < 0)
        return false;
    read_holder(fd, &holder);
    close(fd);
    return strcmp(holder.mountpoint, search->mountpoint) == 0;
}

static void explain(const struct search *search, bool own, struct slot *slot)
{
    const struct holder *first = &search->first;
    if (slot->number == 0)
        return;
    if (own)
        snprintf(slot->why, sizeof slot->why, "this mount point had it before");
    else if (first->mountpoint[0] != '\0')
        snprintf(slot->why, sizeof slot->why, "slot 0 is in use by pid %ld, on %.120s", first->pid,
                 first->mountpoint);
    else
        snprintf(slot->why, sizeof slot->why, "slot 0 is in use");
    for (char *at = slot->why; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7F)
            *at = '?';
}

int slot_take(const char *prefix, const char *mountpoint, struct slot *out, struct error *error)
{
    struct search search = {.prefix = prefix, .mountpoint = mountpoint, .began_ms = clock_ms()};
    struct slot slot = {.dir = -1, .lock = -1};
    int rc = -EWOULDBLOCK;
    bool own = false;
    for (int i = 0; rc == -EWOULDBLOCK && mountpoint != NULL && i < SLOTS; i++)
        if (had_it(&search, i)) {
            rc = take_one(&search, i, &slot, error);
            own = rc == 0;
        }
    for (int i = 0; rc == -EWOULDBLOCK && i < SLOTS; i++)
        rc = take_one(&search, i, &slot, error);
    if (rc == -EWOULDBLOCK)
        return error_set(error, rc, "%d daemons use the cache %s* already", SLOTS, prefix);
    if (rc < 0)
        return rc;
    explain(&search, own, &slot);
    if (mountpoint != NULL)
        write_holder(&slot, "starting", "", mountpoint);
    *out = slot;
    return 0;
}

void slot_release(struct slot *slot)
{
    if (slot->lock >= 0)
        close(slot->lock);
    if (slot->dir >= 0)
        close(slot->dir);
    free(slot->path);
    *slot = (struct slot){.dir = -1, .lock = -1};
}
