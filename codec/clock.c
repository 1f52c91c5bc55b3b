#include "codec/clock.h"

static int64_t microseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_us(void) { return microseconds(CLOCK_MONOTONIC); }

int64_t clock_ms(void) { return clock_us() / 1000; }

int64_t calendar_us(void) { return microseconds(CLOCK_REALTIME); }

struct timespec clock_after_ms(int64_t milliseconds)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += milliseconds / 1000;
    at.tv_nsec += milliseconds % 1000 * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000L;
    at.tv_nsec %= 1000000000L;
    return at;
}

void clock_cond_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t milliseconds)
{
    struct timespec until = clock_after_ms(milliseconds);
    return pthread_cond_timedwait(condition, lock, &until);
}
