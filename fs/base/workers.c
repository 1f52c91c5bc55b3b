#include "fs/base/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct task {
    struct task *next;
    void (*work)(void *);
    void *argument;
};

struct queue {
    struct task *first, **last;
};

struct workers {
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t added;
    struct queue urgent, other;
    bool stopped, ending, joined;
    int count;
    pthread_t threads[];
};

static struct task *pop(struct queue *queue)
{
    struct task *task = queue->first;
    if (task != NULL) {
        queue->first = task->next;
        if (queue->first == NULL)
            queue->last = &queue->first;
    }
    return task;
}

static void *work_off(void *argument)
{
    struct workers *workers = argument;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct task *task = pop(&workers->urgent);
        if (task == NULL)
            task = pop(&workers->other);
        if (task != NULL) {
            pthread_mutex_unlock(&workers->lock);
            task->work(task->argument);
            free(task);
            pthread_mutex_lock(&workers->lock);
        } else if (workers->ending) {
            break;
        } else {
            pthread_cond_wait(&workers->added, &workers->lock);
        }
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

int workers_new(int threads, struct workers **out)
{
    struct workers *workers = calloc(1, sizeof *workers + (size_t)threads * sizeof(pthread_t));
    if (workers == NULL)
        return -ENOMEM;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->added, NULL);
    workers->urgent.last = &workers->urgent.first;
    workers->other.last = &workers->other.first;
    for (; workers->count < threads; workers->count++)
        if (pthread_create(&workers->threads[workers->count], NULL, work_off, workers) != 0)
            break;
    if (workers->count == 0) {
        workers_free(workers);
        return -EAGAIN;
    }
    *out = workers;
    return 0;
}

void workers_stop(struct workers *workers)
{
    if (workers == NULL)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->stopped = true;
    pthread_mutex_unlock(&workers->lock);
}

void workers_join(struct workers *workers)
{
    if (workers == NULL || workers->joined)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->added);
    pthread_mutex_unlock(&workers->lock);
    for (int i = 0; i < workers->count; i++)
        pthread_join(workers->threads[i], NULL);
    workers->joined = true;
}

void workers_free(struct workers *workers)
{
    if (workers == NULL)
        return;
    workers_join(workers);
    pthread_cond_destroy(&workers->added);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}

int workers_add(struct workers *workers, void (*work)(void *), void *argument, int urgent)
{
    struct task *task = malloc(sizeof *task);
    if (task == NULL)
        return -ENOMEM;
    *task = (struct task){.work = work, .argument = argument};
    pthread_mutex_lock(&workers->lock);
    bool stopped = workers->stopped;
    struct queue *queue = urgent ? &workers->urgent : &workers->other;
    if (!stopped) {
        *queue->last = task;
        queue->last = &task->next;
        pthread_cond_signal(&workers->added);
    }
    pthread_mutex_unlock(&workers->lock);
    if (stopped)
        free(task);
    return stopped ? -ESHUTDOWN : 0;
}
