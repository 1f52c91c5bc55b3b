/* What the daemon has to say: to stderr while it runs in the foreground, else to syslog, and always
 * to a ring of the last lines that `.pgvecfs/log` shows. Never a password, never table data.
 *
 * Threads: any.
 */
#ifndef FS_LOG_H
#define FS_LOG_H

#include "codec/buffer.h"

enum log_level { LOG_SAY_ERROR, LOG_SAY_INFO, LOG_SAY_DEBUG };

/* `foreground`: stderr. `debug`: debug lines too. */
void log_open(int foreground, int debug);

void log_say(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends the lines kept, oldest first. */
MUST_CHECK int log_show(struct buffer *out);

#endif
