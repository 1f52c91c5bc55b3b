/* A clock that never goes back, and waits by it: the calendar's may be set.
 *
 * Threads: any.
 */
#ifndef CODEC_CLOCK_H
#define CODEC_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds. */
int64_t clock_ms(void);

/* The time so many milliseconds from now, for pthread_cond_timedwait on a condition of this clock. */
struct timespec clock_after_ms(int64_t milliseconds);

/* A condition whose timed waits go by this clock. */
void clock_cond_init(pthread_cond_t *condition);

/* Waits on such a condition for at most so long; the lock is held. ETIMEDOUT: the time is over. */
int clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t milliseconds);

#endif
