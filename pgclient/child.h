/* Runs a program as a child process and collects its output.
 *
 * Its stdin is /dev/null, its signals are as usual. It does not outlive the call.
 */
#ifndef PGCLIENT_CHILD_H
#define PGCLIENT_CHILD_H

#include "codec/buffer.h"

/* Called ten times a second: says whether the child may go on. If it returns a negative value the
 * child is ended (SIGTERM, then SIGKILL), and child_run returns that value. */
typedef int child_look(void *context);

/* Appends what the child writes to stdout and stderr; *status is as waitpid gives it. Both lists
 * end with NULL. -ENOENT: there is no such program; another errno: it could not be run. */
MUST_CHECK int child_run(const char *program, char *const *arguments, char *const *environment,
                         child_look *look, void *context, struct buffer *out, struct buffer *words,
                         int *status);

#endif
