/* The read points that snapshots hold because row groups of theirs found no room in the cache. Each
 * costs a connection: there are few, and the oldest ends if a thread waits for a connection.
 *
 * Threads: any. Lifetime: held_init, held_clear when all snapshots have gone.
 */
#ifndef FS_ROWS_HELD_H
#define FS_ROWS_HELD_H

#include "fs/rows/crew.h"

#include <pthread.h>

enum { HELD_AT_MOST = 4 };

struct held {
    int most;
    pthread_mutex_t lock; /* guards what follows */
    int count;
    struct crew *crews[HELD_AT_MOST]; /* the oldest first */
    struct crew *leaving;             /* the one that gave way last; NULL: none has */
};

/* `connections`: those of the pool. */
void held_init(struct held *held, int connections);
void held_clear(struct held *held);

/* Adds the crew, with a new reference. False: too many are held. */
bool held_add(struct held *held, struct crew *crew);

/* Removes the crew, if it is still there. */
void held_remove(struct held *held, struct crew *crew);

/* Ends the oldest of those that have what is lacked, on another thread: the caller may have a
 * session, or be given one meanwhile, and readers under that read point may take long. Until it has
 * ended no other one that has it gives way. */
void held_give_way(struct held *held, enum session_lack lack);

/* Ends those whose locks others wait for, on other threads. If no session has looked for
 * waiters for a while, each of them looks until one has: held_tend then waits for the server. */
void held_tend(struct held *held, struct session_pool *pool);

int held_count(struct held *held);

#endif
