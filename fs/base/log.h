/* The daemon's log. A line goes at once into a ring of the last lines, which `.pgvecfs/log` shows,
 * and from there to stderr while the daemon runs in the foreground, else to syslog. It never has a
 * password or table data in it.
 *
 * A terminal, a pipe or syslog may be slow, or stand still: one thread writes to them, and no other
 * waits. Lines that the ring has lost before they were written are counted, and the log says how
 * many.
 *
 * Threads: any; log_open and log_close are the main thread's.
 */
#ifndef FS_BASE_LOG_H
#define FS_BASE_LOG_H

#include "codec/buffer.h"

enum log_level { LOG_SAY_ERROR, LOG_SAY_INFO, LOG_SAY_DEBUG };

/* Starts the thread that writes; before that lines go to stderr at once. `foreground`: to stderr.
 * `debug`: debug lines too. */
void log_open(int foreground, int debug);

/* Waits until the rest is written, for a second at most. */
void log_close(void);

/* Waits until all lines so far are written, for `milliseconds` at most. */
void log_flush(int milliseconds);

void log_say(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends the lines that the ring has, oldest first. */
MUST_CHECK int log_show(struct buffer *out);

#endif
