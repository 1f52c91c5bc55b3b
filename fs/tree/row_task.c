#include "fs/tree/row_task.h"

#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "fs/tree/tree.h"

#include <errno.h>
#include <stdlib.h>

int row_task_init(struct row_task *task, const struct row_task_class *class, struct mount *mount,
                  const struct relation *relation)
{
    task->class = class;
    task->refs = 1;
    task->mount = mount;
    task->relation = *relation;
    task->relation.schema = strdup(relation->schema);
    task->relation.name = strdup(relation->name);
    if (task->relation.schema != NULL && task->relation.name != NULL)
        return 0;
    free((char *)task->relation.schema);
    free((char *)task->relation.name);
    return -ENOMEM;
}

struct row_task *row_task_ref(struct row_task *task)
{
    atomic_fetch_add(&task->refs, 1);
    return task;
}

void row_task_unref(struct row_task *task)
{
    if (task == NULL || atomic_fetch_sub(&task->refs, 1) != 1)
        return;
    free((char *)task->relation.schema);
    free((char *)task->relation.name);
    free(task->reason);
    task->class->free(task);
}

static void put_under_way(struct row_task *task)
{
    struct row_task **first = &task->mount->tree->row_tasks;
    task->next = *first;
    task->at = first;
    if (task->next != NULL)
        task->next->at = &task->next;
    *first = task;
}

static void take_off(struct row_task *task)
{
    *task->at = task->next;
    if (task->next != NULL)
        task->next->at = task->at;
    task->at = NULL;
}

/* A key that is not there is an answer like any other. */
static void note_failure(struct row_task *task, const struct error *error)
{
    task->reason = strdup(error->text[0] != '\0' ? error->text : strerror(-task->rc));
    if (task->rc == -EINTR || task->rc == -ESTALE || task->rc == -ENOENT)
        return;
    task->mount->count.row_failures++;
    if (task->rc == -EACCES || task->rc == -EBUSY || task->rc == -EFBIG)
        return; /* a reader is told why, and may try again and again */
    log_say(LOG_SAY_ERROR, "%s.%s/rows: %s", task->relation.schema, task->relation.name,
            error->text);
}

static void end_task(struct row_task *task, int rc, const struct error *error)
{
    task->making = false;
    task->rc = rc;
    take_off(task);
    if (rc < 0)
        note_failure(task, error);
    if (task->class->asked != NULL)
        task->class->asked(task);
}

static void run_task(void *argument);

/* It is its turn to try again. */
static void resume_task(void *argument)
{
    struct row_task *task = argument;
    waiters_put(task->mount->waiters, &task->resuming, run_task, task);
}

/* Parks the task until its turn for a lock. -EINTR: it is not needed any more. */
static int park_task(struct row_task *task)
{
    pthread_mutex_lock(&task->mount->lock);
    int rc = task->stop ? -EINTR : 0;
    if (rc == 0)
        lock_turn_park(task->mount->place.line, &task->turn, resume_task, task);
    pthread_mutex_unlock(&task->mount->lock);
    return rc;
}

static void run_task(void *argument)
{
    struct row_task *task = argument;
    struct mount *mount = task->mount;
    struct error error = {""};
    struct patience patience = {.waits = true, .stop = &task->stop, .turn = &task->turn};
    const struct row_source source = {.place = &mount->place,
                                      .layouts = mount->tree->row_layouts,
                                      .relation = &task->relation,
                                      .stop = &task->stop};
    patience_begin(&patience);
    int rc = task->class->ask(task, &source, &error);
    patience_end(&patience);
    if (patience.refused && (rc = park_task(task)) == 0)
        return;
    lock_wait_over(&mount->lock_waits, &task->turn.wait);
    pthread_mutex_lock(&mount->lock);
    mount->count.row_questions++;
    end_task(task, rc, &error);
    wait_call(&mount->waits, &task->waiting);
    row_task_unref(task);
    pthread_mutex_unlock(&mount->lock);
}

void row_task_begin(struct row_task *task)
{
    struct error error = {"no memory to ask for rows"};
    row_task_ref(task);
    put_under_way(task);
    task->making = true;
    task->stop = task->mount->ending;
    if (waiters_add(task->mount->waiters, run_task, task) == 0)
        return;
    end_task(task, -ENOMEM, &error);
    row_task_unref(task);
}

void row_task_stop(struct row_task *task)
{
    task->stop = true;
    lock_turn_call(task->mount->place.line, &task->turn);
}

void row_task_stop_all(struct mount *mount)
{
    for (struct row_task *task = mount->tree->row_tasks; task != NULL; task = task->next)
        row_task_stop(task);
}

int row_task_errno(int rc)
{
    return rc == -EINTR || rc == -EFBIG || rc == -ENOBUFS ? rc : user_errno(rc);
}
