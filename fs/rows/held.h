/* The read points that snapshots hold, because row groups of theirs found no room in the cache.
 * Each costs a connection, so there are few, and the oldest goes where somebody waits for one.
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
    struct crew *leaving;             /* the last that gave way; NULL: none has */
};

/* For a pool of so many connections. */
void held_init(struct held *held, int connections);
void held_clear(struct held *held);

/* A new reference to the crew; false: there are too many. */
bool held_add(struct held *held, struct crew *crew);

/* If it is still there. */
void held_remove(struct held *held, struct crew *crew);

/* Ends the oldest one of those that have what is lacked, on another thread: whoever calls this may
 * have a session, or be given one meanwhile, and who reads under that read point may take long.
 * Until it has ended no other one of those gives way. */
void held_give_way(struct held *held, enum session_lack lack);

/* Ends those whose locks others wait for, on other threads. Where nobody else has looked for a
 * while who waits, one of them does: then it waits for the server. */
void held_tend(struct held *held, struct session_pool *pool);

int held_count(struct held *held);

#endif
