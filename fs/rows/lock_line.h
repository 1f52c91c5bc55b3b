/* The line of those who wait for locks of relations that others have (lock_wait.h): who of them
 * tries again, and when, so that many cost no more than a few.
 *
 * Whoever wants a lock has a turn, in which he asks the server for it; the first one whenever he
 * likes. If the lock is not to be had he gives his session back and stands here until his next
 * turn, with a thread or without. Turns are given
 *
 *   at a steady pace, one after the other, those before the others whose lock was seen to go from
 *     hand to hand. In such a turn one stands in the server's own line, for LOCK_PATIENCE_MS: so
 *     one gets in the end what others take again and again. Two do at once, no more;
 *   to those whose relation nobody has locked any more, by what is seen once a second
 *     (lock_watch.h). In such a turn, and in a first one while others wait, one takes what is free,
 *     and does not wait;
 *   to the next in line, when one of those who have waited has got his lock: whoever had it may
 *     have had others;
 *   to those whose time is over: a last one.
 *
 * Lifetime: a struct lock_turn is {.wait = …} at first, and its owner's; lock_wait_over ends its
 * wait, during which others see what it is for. Threads: any; a turn's owner is one at a time.
 */
#ifndef FS_ROWS_LOCK_LINE_H
#define FS_ROWS_LOCK_LINE_H

#include "fs/rows/lock_wait.h"

enum { STAND_AT_MOST = 2 };

struct lock_turn {
    struct lock_wait wait;     /* for what; its owner sets it */
    struct lock_turn *next;    /* the rest is guarded by the line's lock */
    bool waits;                /* in line */
    void (*go)(void *context); /* NULL: a thread waits for the turn */
    void *context;
    bool may_stand;       /* in the turn that it has been given */
    bool moves;           /* its lock goes from hand to hand */
    bool free;            /* nobody had its lock when that was looked at last */
    bool looked_at;       /* in this round */
    char transaction[32]; /* that had the lock then */
    int64_t after;        /* clock_ms(): when it may have a turn again */
    int64_t stands_until; /* the place where it stands; 0: it does not */
};

struct lock_line {
    struct lock_waits *waits; /* constant, as is the number of places */
    int places;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t given;
    struct lock_turn *first;
    size_t count;
    int64_t next_at;               /* clock_ms(): then the next may stand */
    int64_t stands[STAND_AT_MOST]; /* until when each of the places is taken */
};

/* Borrows `waits`. `connections`: as many sessions as there are at most. */
void lock_line_init(struct lock_line *line, struct lock_waits *waits, int connections);

/* A turn begins: for so many milliseconds it may wait for the lock (session_lock_patience,
 * crew_lock_patience). To be called with the session at hand. */
int lock_turn_begin(struct lock_line *line, struct lock_turn *turn);
/* It is over, or nothing more is to be locked; `had`: all is locked. */
void lock_turn_end(struct lock_line *line, struct lock_turn *turn, bool had);

/* Waits for the next turn. -EINTR: `stop` (nullable) was set before. */
MUST_CHECK int lock_turn_wait(struct lock_line *line, struct lock_turn *turn,
                              const atomic_bool *stop);
/* The same without a thread: `go` is called once, by any thread, with any locks: all it may do is
 * to hand the work to another one. Until then the turn belongs to the line. */
void lock_turn_park(struct lock_line *line, struct lock_turn *turn, void (*go)(void *context),
                    void *context);
/* Its turn comes at once, if it is parked: its work is to end. */
void lock_turn_call(struct lock_line *line, struct lock_turn *turn);

/* Gives turns; to be called ten times a second. It waits for nothing. */
void lock_line_tend(struct lock_line *line);

/* Whether more are in line than stand in the server's: it is worth looking which locks are free. */
bool lock_line_wants_look(struct lock_line *line);
/* Looks. Errors: a session's; -ETIMEDOUT: no answer came within that time, and it is lost. */
MUST_CHECK int lock_line_look(struct lock_line *line, struct session *session, int patience_ms,
                              struct error *error);

#endif
