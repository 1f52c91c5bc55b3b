/* What the daemon has to say: at once to a ring of the last lines, which `.pgvecfs/log` shows, and
 * from there to stderr while it runs in the foreground, else to syslog. Never a password, never
 * table data.
 *
 * A terminal, a pipe or syslog may be slow, or stand still: a thread writes to them, and nobody
 * else waits. What the ring has lost before it was written is counted, and said.
 *
 * Threads: any; log_open and log_close are the main thread's.
 */
#ifndef FS_BASE_LOG_H
#define FS_BASE_LOG_H

#include "codec/buffer.h"

enum log_level { LOG_SAY_ERROR, LOG_SAY_INFO, LOG_SAY_DEBUG };

/* `foreground`: stderr. `debug`: debug lines too. Starts the thread; before that lines go to stderr
 * at once. */
void log_open(int foreground, int debug);

/* Has the rest written, as far as that is done within a second. */
void log_close(void);

/* Waits until all that was said is written, for so long at most. */
void log_flush(int milliseconds);

void log_say(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends the lines kept, oldest first. */
MUST_CHECK int log_show(struct buffer *out);

#endif
