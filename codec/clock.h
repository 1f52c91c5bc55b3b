/* A clock that never goes back, and waits by it: the clock of the calendar may be set. That one, too.
 *
 * Threads: any.
 */
#ifndef CODEC_CLOCK_H
#define CODEC_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

int64_t clock_ms(void); /* milliseconds */
int64_t clock_us(void); /* microseconds */

/* The calendar's: microseconds since 1970. */
int64_t calendar_us(void);

/* The time in so many milliseconds, for pthread_cond_timedwait on a condition of this clock. */
struct timespec clock_after_ms(int64_t milliseconds);

/* A condition whose timed waits go by this clock. */
void clock_cond_init(pthread_cond_t *condition);

/* Waits on such a condition for at most so long; the caller holds the lock. ETIMEDOUT: that has
 * passed. */
int clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t milliseconds);

#endif
