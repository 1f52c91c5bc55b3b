#include "fs/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <time.h>

enum { KEPT_LINES = 500, LINE_SIZE = 1400 };

static struct {
    pthread_mutex_t lock;
    int foreground, debug;
    char *lines[KEPT_LINES]; /* guarded by lock; a ring */
    size_t next;
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .foreground = 1};

void log_open(int foreground, int debug)
{
    the_log.foreground = foreground;
    the_log.debug = debug;
    if (!foreground)
        openlog("pgvecfs", LOG_PID, LOG_DAEMON);
}

/* Whatever a table is called, a line stays a line. */
static void keep_on_one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            *text = ' ';
}

void log_say(enum log_level level, const char *format, ...)
{
    static const char *const words[] = {"error", "info", "debug"};
    if (level == LOG_SAY_DEBUG && !the_log.debug)
        return;
    char said[LINE_SIZE - 100], line[LINE_SIZE], stamp[32];
    va_list args;
    va_start(args, format);
    vsnprintf(said, sizeof said, format, args);
    va_end(args);
    keep_on_one_line(said);
    time_t now = time(NULL);
    struct tm utc;
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    snprintf(line, sizeof line, "%s %s: %s\n", stamp, words[level], said);
    if (the_log.foreground)
        fputs(line, stderr);
    else
        syslog(level == LOG_SAY_ERROR ? LOG_ERR : LOG_INFO, "%s", said);
    pthread_mutex_lock(&the_log.lock);
    size_t at = the_log.next++ % KEPT_LINES;
    free(the_log.lines[at]);
    the_log.lines[at] = strdup(line);
    pthread_mutex_unlock(&the_log.lock);
}

int log_show(struct buffer *out)
{
    int rc = 0;
    pthread_mutex_lock(&the_log.lock);
    size_t first = the_log.next > KEPT_LINES ? the_log.next - KEPT_LINES : 0;
    for (size_t i = first; rc == 0 && i < the_log.next; i++)
        if (the_log.lines[i % KEPT_LINES] != NULL)
            rc = buffer_append_text(out, the_log.lines[i % KEPT_LINES]);
    pthread_mutex_unlock(&the_log.lock);
    return rc;
}
