/* A program that is run as a child and listened to.
 *
 * Its stdin is /dev/null, its signals are as usual. It does not outlive the call.
 */
#ifndef PGCLIENT_CHILD_H
#define PGCLIENT_CHILD_H

#include "codec/buffer.h"

/* Looks ten times a second whether the child may go on; negative: it is ended (SIGTERM, then
 * SIGKILL), and that is what child_run returns. */
typedef int child_look(void *context);

/* Appends what it writes to stdout and stderr; *status as waitpid says it. Both lists end with
 * NULL. -ENOENT: there is no such program; another errno: it could not be run. */
MUST_CHECK int child_run(const char *program, char *const *arguments, char *const *environment,
                         child_look *look, void *context, struct buffer *out, struct buffer *words,
                         int *status);

#endif
