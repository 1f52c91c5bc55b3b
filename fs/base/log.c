#include "fs/base/log.h"

#include "codec/clock.h"
#include "codec/utf8.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { KEPT_LINES = 500, LINE_SIZE = 1400, STAMP_SIZE = 32 };

struct line {
    enum log_level level;
    size_t said; /* the text begins here, behind time and level */
    char text[];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int foreground, debug;
    struct line *lines[KEPT_LINES]; /* a ring; guarded by the lock, as all that follows */
    size_t next, written;           /* counts of lines; those between are still to be written */
    bool writing, ending;           /* the thread runs; it is to end */
    bool busy;                      /* the thread is writing a line */
    pthread_t writer;
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .foreground = 1};

/* ---- writing ---- */

/* Does not use stdio: its lock would be held during the wait, and exit() needs it. Waits even if
 * another process has made the shared description of stderr non-blocking. */
static void write_all(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, text, size);
        if (n < 0 && errno == EAGAIN &&
            poll(&(struct pollfd){STDERR_FILENO, POLLOUT, 0}, 1, -1) > 0)
            continue;
        if (n < 0 && errno != EINTR)
            return;
        text += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

static void write_line(const struct line *line)
{
    if (the_log.foreground)
        write_all(line->text, strlen(line->text));
    else
        syslog(line->level == LOG_SAY_ERROR ? LOG_ERR : LOG_INFO, "%s", line->text + line->said);
}

static struct line *line_new(enum log_level level, const char *said)
{
    static const char *const words[] = {"error", "info", "debug"};
    char stamp[STAMP_SIZE];
    time_t now = time(NULL);
    struct tm utc;
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    size_t head = strlen(stamp) + strlen(words[level]) + 3, size = head + strlen(said) + 2;
    struct line *line = malloc(sizeof *line + size);
    if (line == NULL)
        return NULL;
    line->level = level;
    line->said = head;
    snprintf(line->text, size, "%s %s: %s\n", stamp, words[level], said);
    return line;
}

/* A copy of the next line to write. Under the lock. */
static struct line *next_line(void)
{
    if (the_log.next - the_log.written > KEPT_LINES) {
        char said[100];
        size_t lost = the_log.next - the_log.written - KEPT_LINES;
        the_log.written += lost;
        snprintf(said, sizeof said,
                 "%zu lines are missing here: they came faster than they could "
                 "be written",
                 lost);
        return line_new(LOG_SAY_ERROR, said);
    }
    const struct line *line = the_log.lines[the_log.written++ % KEPT_LINES];
    size_t size = line != NULL ? sizeof *line + strlen(line->text) + 1 : 0;
    struct line *copy = line != NULL ? malloc(size) : NULL;
    if (copy != NULL)
        memcpy(copy, line, size);
    return copy;
}

static void *write_lines(void *argument)
{
    pthread_mutex_lock(&the_log.lock);
    for (;;) {
        if (the_log.written == the_log.next && the_log.ending)
            break;
        if (the_log.written == the_log.next) {
            the_log.busy = false;
            pthread_cond_broadcast(&the_log.changed);
            pthread_cond_wait(&the_log.changed, &the_log.lock);
            continue;
        }
        the_log.busy = true;
        struct line *line = next_line();
        pthread_mutex_unlock(&the_log.lock);
        if (line != NULL)
            write_line(line);
        free(line);
        pthread_mutex_lock(&the_log.lock);
    }
    the_log.writing = false;
    pthread_cond_broadcast(&the_log.changed);
    pthread_mutex_unlock(&the_log.lock);
    return argument;
}

/* ---- lifetime ---- */

void log_open(int foreground, int debug)
{
    sigset_t all, before;
    the_log.foreground = foreground;
    the_log.debug = debug;
    the_log.ending = false;
    if (!foreground)
        openlog("pgvecfs", LOG_PID, LOG_DAEMON);
    sigfillset(&all); /* above all SIGPIPE */
    pthread_mutex_lock(&the_log.lock);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    the_log.writing = pthread_create(&the_log.writer, NULL, write_lines, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_mutex_unlock(&the_log.lock);
}

/* Waits for a change, until that time at most. */
static int wait_until(const struct timespec *until)
{
    return pthread_cond_clockwait(&the_log.changed, &the_log.lock, CLOCK_MONOTONIC, until);
}

void log_flush(int milliseconds)
{
    struct timespec until = clock_after_ms(milliseconds);
    int rc = 0;
    pthread_mutex_lock(&the_log.lock);
    while (the_log.writing && (the_log.busy || the_log.written != the_log.next) && rc == 0)
        rc = wait_until(&until);
    pthread_mutex_unlock(&the_log.lock);
}

/* A thread that hangs in a write is left alone: it ends with the process. */
void log_close(void)
{
    struct timespec until = clock_after_ms(1000);
    pthread_mutex_lock(&the_log.lock);
    bool started = the_log.writing;
    int rc = 0;
    the_log.ending = true;
    pthread_cond_broadcast(&the_log.changed);
    while (the_log.writing && rc == 0)
        rc = wait_until(&until);
    bool hangs = the_log.writing;
    pthread_mutex_unlock(&the_log.lock);
    if (started && hangs)
        pthread_detach(the_log.writer);
    else if (started)
        pthread_join(the_log.writer, NULL);
}

/* ---- saying ---- */

/* Keeps a line one line of UTF-8, whatever names a table has. */
static void keep_on_one_line(char *text)
{
    utf8_mend(text);
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            *text = ' ';
}

void log_say(enum log_level level, const char *format, ...)
{
    if (level == LOG_SAY_DEBUG && !the_log.debug)
        return;
    char said[LINE_SIZE];
    va_list args;
    va_start(args, format);
    if (vsnprintf(said, sizeof said, format, args) >= LINE_SIZE)
        utf8_trim(said);
    va_end(args);
    keep_on_one_line(said);
    struct line *line = line_new(level, said);
    pthread_mutex_lock(&the_log.lock);
    if (!the_log.writing && line != NULL)
        write_line(line);
    if (!the_log.writing)
        the_log.written++;
    size_t at = the_log.next++ % KEPT_LINES;
    free(the_log.lines[at]);
    the_log.lines[at] = line;
    pthread_cond_broadcast(&the_log.changed);
    pthread_mutex_unlock(&the_log.lock);
}

int log_show(struct buffer *out)
{
    int rc = 0;
    pthread_mutex_lock(&the_log.lock);
    size_t first = the_log.next > KEPT_LINES ? the_log.next - KEPT_LINES : 0;
    for (size_t i = first; rc == 0 && i < the_log.next; i++)
        if (the_log.lines[i % KEPT_LINES] != NULL)
            rc = buffer_append_text(out, the_log.lines[i % KEPT_LINES]->text);
    pthread_mutex_unlock(&the_log.lock);
    return rc;
}
