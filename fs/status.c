#include "fs/status.h"

#include "fs/status_line.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/magic.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME_MS = 200,
    REFRESHES_SHOWN = 5,
    STATUS_BYTES_MOST = 16 << 20 /* a longer file is no status of ours */
};

/* ---- asking ---- */

static int explain(const char *mountpoint, int rc, struct error *error)
{
    if (rc == -ENOTCONN)
        return error_set(error, rc,
                         "%s: the process behind this mount has ended; unmount it (fusermount3 -u "
                         "%s) and mount again",
                         mountpoint, mountpoint);
    if (rc == -ENOENT && access(mountpoint, F_OK) < 0)
        return error_set(error, rc, "%s: there is no such directory; name the mount point",
                         mountpoint);
    if (rc == -ENOENT || rc == -ENOTDIR || rc == -EBADMSG)
        return error_set(error, rc,
                         "%s is not a mount point of pgvecfs; findmnt -t fuse.pgvecfs lists them",
                         mountpoint);
    if (rc == -EACCES)
        return error_set(error, rc,
                         "%s: permission denied; ask as the user who mounted it, or mount with -o "
                         "allow_other",
                         mountpoint);
    return error_set(error, rc, "%s: its status cannot be read: %s", mountpoint, strerror(-rc));
}

static int read_all(int fd, struct buffer *out)
{
    for (;;) {
        int rc = buffer_reserve(out, 64 << 10);
        if (rc < 0)
            return rc;
        ssize_t n = read(fd, out->data + out->size, 64 << 10);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        out->size += (size_t)n;
        if (out->size > STATUS_BYTES_MOST)
            return -EBADMSG;
    }
}

/* Checks that the file is in a mount, since a copy of a mount has such a file, too. */
static int open_status(const char *mountpoint)
{
    char *path;
    struct statfs fs;
    if (asprintf(&path, "%s/.pgvecfs/status.json", mountpoint) < 0)
        return -ENOMEM;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc = fd < 0 ? -errno : 0;
    free(path);
    if (rc == 0 && fstatfs(fd, &fs) < 0)
        rc = -errno;
    if (rc == 0 && fs.f_type != FUSE_SUPER_MAGIC)
        rc = -EBADMSG;
    if (rc < 0 && fd >= 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

static int ask(const char *mountpoint, json_t **out, struct error *error)
{
    struct buffer text = {0};
    int fd = open_status(mountpoint), rc = fd;
    if (fd >= 0) {
        rc = read_all(fd, &text);
        close(fd);
    }
    json_t *status =
        rc == 0 ? json_loadb((char *)text.data, text.size, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
    buffer_clear(&text);
    if (rc == 0 && !json_is_string(json_object_get(status, "mountpoint"))) {
        json_decref(status);
        rc = -EBADMSG;
    }
    if (rc < 0)
        return explain(mountpoint, rc, error);
    *out = status;
    return 0;
}

/* ---- what the file says; a missing value is empty, 0 or unknown ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : -1;
}

static uint64_t count_of(const json_t *object, const char *key)
{
    double value = number_of(object, key), most = (double)(1ULL << 63);
    return value > 0 ? (uint64_t)(value < most ? value : most) : 0;
}

static struct status_job job_of(const json_t *object)
{
    const json_t *wait = json_object_get(object, "waits_for");
    struct status_job job = {.schema = text_of(object, "schema"),
                             .name = text_of(object, "name"),
                             .what = text_of(object, "what"),
                             .stage = text_of(object, "stage"),
                             .rows = count_of(object, "rows"),
                             .bytes = count_of(object, "bytes"),
                             .percent = number_of(object, "percent"),
                             .seconds = number_of(object, "seconds"),
                             .seconds_left = number_of(object, "seconds_left")};
    if (json_is_object(wait)) {
        job.lock.relation = text_of(wait, "relation");
        job.lock.application = text_of(wait, "application");
        job.lock.pid = (int)count_of(wait, "pid");
        job.seconds = number_of(wait, "seconds");
    }
    return job;
}

/* ---- as text ---- */

static void put_row(struct text *out, const char *key, const char *value)
{
    text_printf(out, "%-12s", key);
    status_put(out, value, strlen(value), false);
    text_put_byte(out, '\n');
}

static void put_process(struct text *out, const json_t *status)
{
    char uptime[STATUS_TEXT];
    const char *version = text_of(status, "version");
    text_printf(out, "%-12s", "version");
    status_put(out, version, strlen(version), false);
    text_printf(out, ", pid %" PRIu64 ", up %s\n", count_of(status, "pid"),
                status_time(number_of(status, "uptime_seconds"), uptime));
}

static void put_sizes(struct text *out, const json_t *status)
{
    char used[STATUS_TEXT], limit[STATUS_TEXT];
    const char *cache = text_of(status, "cache");
    text_printf(out, "%-12s%s of %s, in ", "cache",
                status_size(count_of(status, "cache_bytes"), used),
                status_size(count_of(status, "cache_size"), limit));
    status_put(out, cache, strlen(cache), false);
    if (count_of(status, "cache_slot") > 0)
        text_printf(out, " (slot %" PRIu64 ")", count_of(status, "cache_slot"));
    text_printf(out, "\n%-12s%s resident\n", "memory",
                status_size(count_of(status, "resident_bytes"), used));
}

static void put_head(struct text *out, const json_t *status)
{
    uint64_t waiting = count_of(status, "waiting_requests");
    put_row(out, "server", text_of(status, "server"));
    put_row(out, "mountpoint", text_of(status, "mountpoint"));
    put_process(out, status);
    put_sizes(out, status);
    if (waiting > 0)
        text_printf(out, "%-12s%" PRIu64 " request%s\n", "waiting", waiting,
                    waiting == 1 ? "" : "s");
    if (*text_of(status, "last_catalog_error") != '\0')
        put_row(out, "last error", text_of(status, "last_catalog_error"));
}

static void put_job_line(struct text *out, const struct status_job *job)
{
    text_put(out, "  ");
    status_put_job(out, job, 0, 0);
    text_put_byte(out, '\n');
}

static void put_jobs(struct text *out, const json_t *jobs)
{
    text_put(out, json_array_size(jobs) == 0 ? "\nno job runs\n" : "\nrunning\n");
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        const struct status_job job = job_of(json_array_get(jobs, i));
        put_job_line(out, &job);
    }
}

/* Leaves out waits of jobs, whose own lines say so. */
static void put_lock_waits(struct text *out, const json_t *waits)
{
    for (size_t i = 0; i < json_array_size(waits); i++) {
        const struct status_job job = job_of(json_array_get(waits, i));
        if (job.lock.relation != NULL && strcmp(job.what, "rows") != 0 &&
            strcmp(job.what, "schema.sql") != 0)
            put_job_line(out, &job);
    }
}

/* Prints the time by the reader's clock. */
static void put_when(struct text *out, const char *at)
{
    struct tm tm = {0};
    char text[STATUS_TEXT];
    const char *end = strptime(at, "%Y-%m-%dT%H:%M:%SZ", &tm);
    time_t when = end != NULL ? timegm(&tm) : 0;
    if (end == NULL || localtime_r(&when, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        status_put(out, at, STATUS_TEXT, false);
    else
        text_put(out, text);
}

static void put_moved(struct text *out, const json_t *refresh)
{
    char rows[STATUS_TEXT], bytes[STATUS_TEXT], copied[STATUS_TEXT], kept[STATUS_TEXT];
    if (count_of(refresh, "bytes") > 0)
        text_printf(out, ": %s rows, %s; row groups: %s copied, %s kept",
                    status_count(count_of(refresh, "rows"), rows),
                    status_size(count_of(refresh, "bytes"), bytes),
                    status_count(count_of(refresh, "groups_copied"), copied),
                    status_count(count_of(refresh, "groups_kept"), kept));
}

static void put_relation(struct text *out, const json_t *refresh)
{
    struct text name = {0};
    status_put_name(&name, text_of(refresh, "schema"), text_of(refresh, "name"));
    const char *text = text_string(&name);
    text_fail(out, name.failed);
    if (text != NULL)
        status_put(out, text, name.bytes.size, false);
    text_clear(&name);
}

static void put_refresh(struct text *out, const json_t *refresh)
{
    text_put(out, "  ");
    put_when(out, text_of(refresh, "at"));
    text_put(out, "  ");
    put_relation(out, refresh);
    text_put(out, "  ");
    status_put(out, text_of(refresh, "result"), STATUS_TEXT, false);
    text_printf(out, "  %.1f s", number_of(refresh, "seconds"));
    put_moved(out, refresh);
    text_put_byte(out, '\n');
}

static void put_refreshes(struct text *out, const json_t *refreshes)
{
    size_t count = json_array_size(refreshes);
    text_put(out, count > 0 ? "\nlast refreshes\n" : "");
    for (size_t i = count > REFRESHES_SHOWN ? count - REFRESHES_SHOWN : 0; i < count; i++)
        put_refresh(out, json_array_get(refreshes, i));
}

/* Prints the text, and empties it. */
static int print(struct text *out, struct error *error)
{
    if (out->failed != 0)
        return error_set(error, out->failed, "no memory for the status");
    for (size_t at = 0; at < out->bytes.size;) {
        ssize_t n = write(STDOUT_FILENO, out->bytes.data + at, out->bytes.size - at);
        if (n < 0 && errno != EINTR)
            return error_set(error, -errno, "cannot print the status: %s", strerror(errno));
        at += n > 0 ? (size_t)n : 0;
    }
    out->bytes.size = 0;
    return 0;
}

/* ---- on a terminal ---- */

/* The lines of a frame; the cursor stands below them, so that the terminal is in order if the user
 * ends this at any time. */
struct screen {
    size_t rows, columns;
    size_t drawn[64]; /* columns of each line drawn */
    size_t lines;
    unsigned frame;
};

enum { LINES_MOST = sizeof((struct screen *)NULL)->drawn / sizeof(size_t) };

static void look_at_terminal(struct screen *screen)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    screen->rows = known && size.ws_row > 0 ? size.ws_row : 24;
    screen->columns = known && size.ws_col > 0 ? size.ws_col : 80;
}

/* A terminal that has become narrower has broken its lines. */
static void put_cursor_back(struct text *out, const struct screen *screen)
{
    size_t up = 0;
    for (size_t i = 0; i < screen->lines; i++)
        up += screen->drawn[i] > 0 ? (screen->drawn[i] - 1) / screen->columns + 1 : 1;
    if (up > 0)
        text_printf(out, "\033[%zuA", up);
    text_put(out, "\r\033[J");
}

static void end_line(struct text *out, struct screen *screen, size_t from)
{
    screen->drawn[screen->lines++] =
        status_columns((char *)out->bytes.data + from, out->bytes.size - from);
    text_put_byte(out, '\n');
}

static void put_frame(struct text *out, struct screen *screen, const json_t *jobs)
{
    look_at_terminal(screen);
    put_cursor_back(out, screen);
    size_t count = json_array_size(jobs), room = screen->rows > 3 ? screen->rows - 2 : 1;
    size_t most = room < LINES_MOST - 1 ? room : LINES_MOST - 1;
    size_t shown = count > most ? most : count;
    screen->lines = 0;
    for (size_t i = 0; i < shown; i++) {
        const struct status_job job = job_of(json_array_get(jobs, i));
        size_t from = out->bytes.size;
        /* Some terminals wrap when the last column is written. */
        status_put_job(out, &job, screen->columns > 1 ? screen->columns - 1 : 1, screen->frame);
        end_line(out, screen, from);
    }
    size_t from = out->bytes.size;
    if (count > shown) {
        text_printf(out, "and %zu more", count - shown);
        end_line(out, screen, from);
    }
    screen->frame++;
}

/* A resized window is drawn anew at once. */
static void wait_for_frame(void)
{
    const struct timespec time = {.tv_nsec = FRAME_MS * 1000000L};
    sigset_t resized;
    sigemptyset(&resized);
    sigaddset(&resized, SIGWINCH);
    sigtimedwait(&resized, NULL, &time);
}

/* Draws frames until no job runs. *status is replaced by the last answer. */
static int watch(const char *mountpoint, json_t **status, struct error *error)
{
    struct screen screen = {0};
    struct text out = {0};
    sigset_t resized;
    sigemptyset(&resized);
    sigaddset(&resized, SIGWINCH);
    sigprocmask(SIG_BLOCK, &resized, NULL);
    int rc = 0;
    while (rc == 0) {
        const json_t *jobs = json_object_get(*status, "jobs");
        put_frame(&out, &screen, jobs);
        rc = print(&out, error);
        if (rc < 0 || json_array_size(jobs) == 0)
            break;
        wait_for_frame();
        json_t *next;
        rc = ask(mountpoint, &next, error);
        if (rc == 0) {
            json_decref(*status);
            *status = next;
        }
    }
    text_clear(&out);
    return rc;
}

static bool can_redraw(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}

int status_show(const char *mountpoint, struct error *error)
{
    struct text out = {0};
    json_t *status;
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        setlocale(LC_CTYPE, "");
    int rc = ask(mountpoint, &status, error);
    if (rc < 0)
        return rc;
    const json_t *jobs = json_object_get(status, "jobs");
    bool watched = json_array_size(jobs) > 0 && can_redraw();
    put_head(&out, status);
    if (watched) {
        text_put_byte(&out, '\n');
    } else {
        put_jobs(&out, jobs);
        put_lock_waits(&out, json_object_get(status, "lock_waits"));
    }
    rc = print(&out, error);
    if (rc == 0 && watched)
        rc = watch(mountpoint, &status, error);
    if (rc == 0) {
        put_refreshes(&out, json_object_get(status, "refreshes"));
        rc = print(&out, error);
    }
    json_decref(status);
    text_clear(&out);
    return rc;
}
