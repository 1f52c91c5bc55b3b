/* Threads that work off numbered pieces of work together: the caller and some more.
 *
 * Which thread does which piece is chance; so what they compute must not depend on it. */
#ifndef INDEX_TEAM_H
#define INDEX_TEAM_H

#include "codec/error.h"

#include <stddef.h>

struct team;

/* `threads`, the caller's included: 1 and more. With fewer, where no more could be started, it
 * works as well. */
MUST_CHECK int team_new(int threads, struct team **out);
void team_free(struct team *team);
int team_size(const struct team *team);

/* Calls work(context, thread, i) for each i below `count`, `chunk` of them in a row by one thread;
 * `thread` is below team_size. Returns when all is done. */
void team_run(struct team *team, size_t count, size_t chunk,
              void (*work)(void *context, int thread, size_t i), void *context);

#endif
