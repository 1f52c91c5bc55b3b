#include "pgclient/helper.h"

#include "codec/clock.h"
#include "pgclient/departing.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

void helper_init(struct helper *helper, void (*run)(struct helper *), void (*drop)(struct helper *))
{
    *helper = (struct helper){.run = run, .drop = drop};
    pthread_mutex_init(&helper->lock, NULL);
    clock_cond_init(&helper->changed);
}

void helper_free(struct helper *helper)
{
    pthread_cond_destroy(&helper->changed);
    pthread_mutex_destroy(&helper->lock);
    helper->drop(helper);
}

static atomic_int helpers; /* running now */

static void *help(void *argument)
{
    struct helper *helper = argument;
    helper->run(helper);
    pthread_mutex_lock(&helper->lock);
    helper->done = true;
    bool last = helper->given_up;
    pthread_cond_signal(&helper->changed);
    pthread_mutex_unlock(&helper->lock);
    if (last) {
        struct departing *departing = helper->departing;
        helper_free(helper);
        departing_end(departing);
        departing_unref(departing);
    }
    helpers--;
    return NULL;
}

int helper_start(struct helper *helper)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    sigfillset(&all);
    int rc = pthread_attr_init(&attributes);
    if (rc != 0)
        return -rc;
    helpers++;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attributes, help, helper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (rc != 0)
        helpers--;
    return -rc;
}

bool helpers_ended(int milliseconds)
{
    int64_t deadline = clock_ms() + milliseconds;
    while (helpers > 0 && clock_ms() < deadline)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    return helpers == 0;
}

static bool is_set(const atomic_bool *flag) { return flag != NULL && atomic_load(flag); }

bool helper_wait(struct helper *helper, const atomic_bool *stop, const atomic_bool *also,
                 int milliseconds)
{
    int64_t deadline = clock_ms() + milliseconds;
    pthread_mutex_lock(&helper->lock);
    while (!helper->done && !helper->given_up) {
        if (is_set(stop) || is_set(also) || (milliseconds >= 0 && clock_ms() >= deadline)) {
            helper->given_up = true;
            if (helper->departing != NULL)
                departing_begin(departing_ref(helper->departing));
        } else {
            (void)clock_wait(&helper->changed, &helper->lock, HELPER_TICK_MS);
        }
    }
    bool done = helper->done;
    pthread_mutex_unlock(&helper->lock);
    return done;
}
