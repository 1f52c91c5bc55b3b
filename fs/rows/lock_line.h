/* The line of fetches and questions that wait for locks of relations that other sessions have
 * (lock_wait.h). It says which of them tries again, and when, so that many cost no more than a few.
 *
 * A caller that wants a lock has a turn, in which it asks the server for the lock; it begins the
 * first turn whenever it likes. If it does not get the lock it gives its session back and stands in
 * this line until its next turn, with a thread or without. Turns are given
 *
 *   at a steady pace, one after the other, first to callers whose lock was seen to go from hand to
 *     hand. In such a turn the caller stands in the server's own line, for LOCK_PATIENCE_MS: so it
 *     gets in the end what others take again and again. At most two stand there at once;
 *   to callers whose relation is not locked any more, as a look once a second shows (lock_watch.h).
 *     In such a turn, and in a first one while others wait, the caller takes what is free, and does
 *     not wait;
 *   to the next in line, when a caller that has waited has got its lock: the session that had it
 *     may have had other locks, too;
 *   to callers whose time is over: a last turn.
 *
 * Lifetime: a struct lock_turn is {.wait = …} at first, and its owner's; lock_wait_over ends its
 * wait, during which others see what it is for. Threads: any; one at a time is a turn's owner.
 */
#ifndef FS_ROWS_LOCK_LINE_H
#define FS_ROWS_LOCK_LINE_H

#include "fs/rows/lock_wait.h"

enum { STAND_AT_MOST = 2 };

struct lock_turn {
    struct lock_wait wait;     /* what it waits for; its owner sets it */
    struct lock_turn *next;    /* the rest is guarded by the line's lock */
    bool waits;                /* it is in line */
    void (*go)(void *context); /* NULL: a thread waits for the turn */
    void *context;
    bool may_stand;       /* it may stand in the server's line in this turn */
    bool moves;           /* its lock was seen to go from hand to hand */
    bool free;            /* no session had its lock at the last look */
    bool looked_at;       /* its lock was looked at in this round */
    char transaction[32]; /* the transaction that had the lock then */
    int64_t after;        /* clock_ms() from which on it may have a turn again */
    int64_t stands_until; /* until when its place is taken; 0: it does not stand */
};

struct lock_line {
    struct lock_waits *waits; /* constant, as is `places`, the number of places */
    int places;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t given;
    struct lock_turn *first;
    size_t count;
    int64_t next_at;               /* clock_ms() at which the next may stand */
    int64_t stands[STAND_AT_MOST]; /* until when each place is taken */
};

/* Borrows `waits`. `connections`: at most so many sessions exist. */
void lock_line_init(struct lock_line *line, struct lock_waits *waits, int connections);

/* Begins a turn. Gives the milliseconds for which it may wait for the lock (session_lock_patience,
 * crew_lock_patience). The caller has a session at hand. */
int lock_turn_begin(struct lock_line *line, struct lock_turn *turn);
/* The turn is over, or nothing more is to be locked. `had`: everything is locked. */
void lock_turn_end(struct lock_line *line, struct lock_turn *turn, bool had);

/* Waits for the next turn. -EINTR: `stop` (nullable) was set before it came. */
MUST_CHECK int lock_turn_wait(struct lock_line *line, struct lock_turn *turn,
                              const atomic_bool *stop);
/* The same without a thread. `go` is called once, by any thread, with any locks held: it may only
 * hand the work to another thread. Until then the turn belongs to the line. */
void lock_turn_park(struct lock_line *line, struct lock_turn *turn, void (*go)(void *context),
                    void *context);
/* Gives the turn at once, if it is parked: its work is to end. */
void lock_turn_call(struct lock_line *line, struct lock_turn *turn);

/* Gives turns; to be called ten times a second. It does not wait. */
void lock_line_tend(struct lock_line *line);

/* Whether more are in line than can stand in the server's: then it is worth looking which locks are
 * free. */
bool lock_line_wants_look(struct lock_line *line);
/* Looks. Errors: those of the session; -ETIMEDOUT: no answer came within that time, and the session
 * is lost. */
MUST_CHECK int lock_line_look(struct lock_line *line, struct session *session, int patience_ms,
                              struct error *error);

#endif
