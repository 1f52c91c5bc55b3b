/* Threads that share numbered pieces of work: the caller's, and some more.
 *
 * It is chance which thread does which piece, so the result must not depend on it. */
#ifndef INDEX_TEAM_H
#define INDEX_TEAM_H

#include "codec/error.h"

#include <stddef.h>

struct team;

/* `threads`: at least 1, the caller's included. If fewer can be started, the team has fewer.
 * -ENOMEM. */
MUST_CHECK int team_new(int threads, struct team **out);
void team_free(struct team *team);
int team_size(const struct team *team);

/* Calls work(context, thread, i) for each i below `count`; one thread does `chunk` of them in a
 * row. `thread` is below team_size. Returns when all is done. */
void team_run(struct team *team, size_t count, size_t chunk,
              void (*work)(void *context, int thread, size_t i), void *context);

#endif
