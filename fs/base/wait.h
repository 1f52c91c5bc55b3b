/* Lists of requests and jobs that wait without a thread, each on the list of the thing that it
 * waits for.
 *
 * Each thing that can change has such a list (struct wait), and calls it when it has changed: all
 * that hang on that list are tried, and no others. What must go on waiting is hung up again, on the
 * same list or on another.
 *
 * Threads: mount->lock guards all lists of a mount. A try may give the lock up; other threads may
 * then call the same list, or take waiting ones off it.
 */
#ifndef FS_BASE_WAIT_H
#define FS_BASE_WAIT_H

struct waiting;

struct wait {
    struct waiting *first; /* the latest to come */
};

struct waiting {
    struct waiting *next, **at; /* on its list; at NULL: on none */
    /* Goes on, if it can. NULL: it has gone on, and may be freed; else the list to wait on now. */
    struct wait *(*try)(struct waiting *);
};

/* Those that are about to be tried; one such list for each mount. */
struct waits {
    struct wait due;
};

void wait_hang(struct wait *on, struct waiting *waiting);
/* It may be on no list. */
void wait_take_off(struct waiting *waiting);

/* Tries all that hang on the list, each once. */
void wait_call(struct waits *waits, struct wait *on);
/* The same in two steps: makes them due one by one, then tries all that are due. */
void wait_make_due(struct waits *waits, struct waiting *waiting);
void wait_try_due(struct waits *waits);

#endif
