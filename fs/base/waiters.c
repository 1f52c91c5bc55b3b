#include "fs/base/waiters.h"

#include "codec/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { IDLE_MS = 10000 };

struct thread {
    struct thread *next; /* in the list of threads that have ended */
    struct waiters *waiters;
    pthread_t id;
};

struct waiters {
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t added, ended;
    struct waiters_task *first, **last;
    int queued, idle, count, away, most;
    bool stopped, ending;
    struct thread *gone; /* ended, to be joined */
};

static _Thread_local struct waiters *mine; /* the pool that this thread belongs to; NULL: none */

/* ---- the threads ---- */

static struct waiters_task *pop(struct waiters *waiters)
{
    struct waiters_task *task = waiters->first;
    if (task == NULL)
        return NULL;
    waiters->first = task->next;
    if (waiters->first == NULL)
        waiters->last = &waiters->first;
    waiters->queued--;
    return task;
}

/* Waits. Gives whether the thread goes on: a task was added, the time is not over, or it is the
 * last. */
static bool wait_for_work(struct waiters *waiters)
{
    waiters->idle++;
    int rc = clock_wait(&waiters->added, &waiters->lock, IDLE_MS);
    waiters->idle--;
    return rc != ETIMEDOUT || waiters->first != NULL || waiters->count == 1;
}

static void run_task(struct waiters *waiters, struct waiters_task *task)
{
    void (*work)(void *) = task->work;
    void *argument = task->argument;
    if (task->owned)
        free(task);
    pthread_mutex_unlock(&waiters->lock);
    work(argument);
    pthread_mutex_lock(&waiters->lock);
}

static void *work_off(void *argument)
{
    struct thread *thread = argument;
    struct waiters *waiters = thread->waiters;
    mine = waiters;
    pthread_mutex_lock(&waiters->lock);
    for (;;) {
        struct waiters_task *task = pop(waiters);
        if (task != NULL)
            run_task(waiters, task);
        else if (waiters->ending || !wait_for_work(waiters))
            break;
    }
    waiters->count--;
    thread->next = waiters->gone;
    waiters->gone = thread;
    pthread_cond_signal(&waiters->ended);
    pthread_mutex_unlock(&waiters->lock);
    return NULL;
}

/* Such a thread needs only the processor to end. */
static void join_gone(struct waiters *waiters)
{
    while (waiters->gone != NULL) {
        struct thread *thread = waiters->gone;
        waiters->gone = thread->next;
        pthread_mutex_unlock(&waiters->lock);
        pthread_join(thread->id, NULL);
        free(thread);
        pthread_mutex_lock(&waiters->lock);
    }
}

static void start_thread(struct waiters *waiters)
{
    struct thread *thread = malloc(sizeof *thread);
    if (thread == NULL)
        return;
    thread->waiters = waiters;
    if (pthread_create(&thread->id, NULL, work_off, thread) == 0)
        waiters->count++;
    else
        free(thread);
}

static void start_if_needed(struct waiters *waiters)
{
    if (waiters->queued > waiters->idle && waiters->count - waiters->away < waiters->most)
        start_thread(waiters);
}

void waiters_away(void)
{
    if (mine == NULL)
        return;
    pthread_mutex_lock(&mine->lock);
    mine->away++;
    start_if_needed(mine);
    pthread_mutex_unlock(&mine->lock);
}

void waiters_back(void)
{
    if (mine == NULL)
        return;
    pthread_mutex_lock(&mine->lock);
    mine->away--;
    pthread_mutex_unlock(&mine->lock);
}

/* ---- lifetime ---- */

int waiters_new(int most, struct waiters **out)
{
    struct waiters *waiters = calloc(1, sizeof *waiters);
    if (waiters == NULL)
        return -ENOMEM;
    waiters->most = most;
    waiters->last = &waiters->first;
    pthread_mutex_init(&waiters->lock, NULL);
    clock_cond_init(&waiters->added);
    clock_cond_init(&waiters->ended);
    pthread_mutex_lock(&waiters->lock);
    start_thread(waiters);
    bool started = waiters->count > 0;
    pthread_mutex_unlock(&waiters->lock);
    if (!started) {
        waiters_free(waiters);
        return -EAGAIN;
    }
    *out = waiters;
    return 0;
}

void waiters_stop(struct waiters *waiters)
{
    if (waiters == NULL)
        return;
    pthread_mutex_lock(&waiters->lock);
    waiters->stopped = true;
    pthread_mutex_unlock(&waiters->lock);
}

void waiters_join(struct waiters *waiters)
{
    if (waiters == NULL)
        return;
    pthread_mutex_lock(&waiters->lock);
    waiters->ending = true;
    pthread_cond_broadcast(&waiters->added);
    while (waiters->count > 0)
        pthread_cond_wait(&waiters->ended, &waiters->lock);
    join_gone(waiters);
    pthread_mutex_unlock(&waiters->lock);
}

void waiters_free(struct waiters *waiters)
{
    if (waiters == NULL)
        return;
    waiters_join(waiters);
    pthread_cond_destroy(&waiters->added);
    pthread_cond_destroy(&waiters->ended);
    pthread_mutex_destroy(&waiters->lock);
    free(waiters);
}

/* ---- the queue ---- */

/* Under the lock. */
static void put(struct waiters *waiters, struct waiters_task *task)
{
    *waiters->last = task;
    waiters->last = &task->next;
    waiters->queued++;
    start_if_needed(waiters);
    join_gone(waiters);
}

/* Wakes after the lock is given up, so that the thread that wakes finds it free. */
static void unlock_and_wake(struct waiters *waiters)
{
    pthread_mutex_unlock(&waiters->lock);
    pthread_cond_signal(&waiters->added);
}

int waiters_add(struct waiters *waiters, void (*work)(void *), void *argument)
{
    struct waiters_task *task = malloc(sizeof *task);
    if (task == NULL)
        return -ENOMEM;
    *task = (struct waiters_task){.work = work, .argument = argument, .owned = true};
    pthread_mutex_lock(&waiters->lock);
    if (!waiters->stopped) {
        put(waiters, task);
        unlock_and_wake(waiters);
        return 0;
    }
    pthread_mutex_unlock(&waiters->lock);
    free(task);
    return -ESHUTDOWN;
}

void waiters_put(struct waiters *waiters, struct waiters_task *task, void (*work)(void *),
                 void *argument)
{
    *task = (struct waiters_task){.work = work, .argument = argument};
    pthread_mutex_lock(&waiters->lock);
    put(waiters, task);
    unlock_and_wake(waiters);
}
