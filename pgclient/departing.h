/* Connections that we have given up and the server may still have: an attempt that goes on in its
 * helper, and one that is closed and whose backend has not ended yet. Each one counts until it has
 * gone, as far as we can see that.
 *
 * No thread watches them, since no thread outlives a fork: the caller that wants to know looks.
 *
 * Lifetime: shared; departing_new gives the first reference. Threads: any.
 */
#ifndef PGCLIENT_DEPARTING_H
#define PGCLIENT_DEPARTING_H

#include "codec/error.h"

#include <stdint.h>

struct departing;

struct departing *departing_new(void); /* NULL: no memory */
struct departing *departing_ref(struct departing *departing);
void departing_unref(struct departing *departing); /* NULL is fine */

/* Counts one more, and one less; `departing` may be NULL. */
void departing_begin(struct departing *departing);
void departing_end(struct departing *departing);

/* Counts until the other side has closed the socket `fd` (taken), which it is expected to do; not
 * for longer than five seconds, and not while it goes on sending much. */
void departing_watch(struct departing *departing, int fd);

/* Notes that a connection of another program has gone, which was not counted. */
void departing_gone(struct departing *departing);

/* Looks how many there are, and waits for nothing. */
int departing_count(struct departing *departing);

/* The time (clock_ms) when the last one went, or was last known to be there, though it may not
 * count any more; 0: none has gone. */
int64_t departing_last(struct departing *departing);

#endif
