/* What waits for something, without a thread, on the list of what it waits for.
 *
 * Each thing that can change has such a list (struct wait), and calls it when it has: all that hang
 * on it are tried, and no others. What must go on waiting is hung up again, perhaps elsewhere.
 *
 * Threads: all lists of a mount are guarded by mount->lock. A try may give the lock up; then others
 * may call the same list, or take off what is on it.
 */
#ifndef FS_BASE_WAIT_H
#define FS_BASE_WAIT_H

struct waiting;

struct wait {
    struct waiting *first; /* the last that has come */
};

struct waiting {
    struct waiting *next, **at; /* on its list; at NULL: it is on none */
    /* Goes on, if it can: NULL, and it may be gone; else what it waits for now. */
    struct wait *(*try)(struct waiting *);
};

/* What is about to be tried; one list for all of a mount. */
struct waits {
    struct wait due;
};

void wait_hang(struct wait *on, struct waiting *waiting);
/* It may be on none. */
void wait_take_off(struct waiting *waiting);

/* Tries all that hang on the list, each once. */
void wait_call(struct waits *waits, struct wait *on);
/* The same in two steps: one after another, then all that are due. */
void wait_make_due(struct waits *waits, struct waiting *waiting);
void wait_try_due(struct waits *waits);

#endif
