#include "fs/tree/user_statement_task.h"

#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "fs/rows/server_turn.h"
#include "fs/tables/statement_number.h"
#include "fs/tree/result.h"
#include "fs/tree/tree.h"
#include "pgclient/statement.h"

#include <errno.h>
#include <stdlib.h>

struct user_statement_task {
    struct value_check check;
    struct mount *mount;
    struct user_statement *statement; /* a reference */
    uint64_t number;                  /* among the statement's texts */
    char *text;                       /* a reference */
    struct relation relation;         /* owns its strings, and the number, until it is taken */
    struct user_statement_task *next,
        **at; /* among those under way: mount->tree->user_statement_tasks */
    atomic_bool stop;
    struct lock_turn turn;
    struct waiters_task resuming;
};

static struct user_statement_task *of(struct value_check *check)
{
    return (struct user_statement_task *)check;
}

static void free_task(struct value_check *check)
{
    struct user_statement_task *task = of(check);
    user_statement_clear(&task->relation);
    shared_text_unref(task->text);
    user_statement_unref(task->statement);
    free(task);
}

static void put_under_way(struct user_statement_task *task)
{
    struct user_statement_task **first = &task->mount->tree->user_statement_tasks;
    task->next = *first;
    task->at = first;
    if (task->next != NULL)
        task->next->at = &task->next;
    *first = task;
}

static void take_off(struct user_statement_task *task)
{
    *task->at = task->next;
    if (task->next != NULL)
        task->next->at = task->at;
    task->at = NULL;
}

static void stop(struct value_check *check)
{
    struct user_statement_task *task = of(check);
    task->stop = true;
    lock_turn_call(task->mount->place.line, &task->turn);
}

/* What the user has written wrong is told to that user only; what fails is logged, too. */
static void end_judging(struct user_statement_task *task, int rc, const struct error *error)
{
    task->check.making = false;
    task->check.rc = rc < 0 ? result_errno(rc) : 0;
    take_off(task);
    if (rc < 0 && rc != -EINVAL && rc != -EINTR)
        log_say(LOG_SAY_ERROR, ".sql.%s: %s", task->statement->name, error->text);
    if (rc == 0) {
        user_statement_take(task->statement, task->number, task->text, &task->relation);
    } else {
        statement_number_give(task->mount, task->relation.oid);
        task->relation.oid = 0;
    }
    user_statement_answered(task->statement, task->number, rc, error);
    wait_call(&task->mount->waits, &task->check.waiting);
}

static int ask_statement(void *context, struct session *session, struct error *error)
{
    struct user_statement_task *task = context;
    session_also_stop(session, &task->stop);
    int rc = statement_check(session, &task->relation, error);
    session_also_stop(session, NULL);
    return rc;
}

static int take_number(struct user_statement_task *task, struct error *error)
{
    if (task->relation.oid != 0)
        return 0;
    int rc = statement_number_take(task->mount, &task->relation.oid);
    return rc < 0 ? error_set(error, rc,
                              "too many statements of before are still in use: close their files")
                  : 0;
}

static void judge(void *argument);

/* It is its turn to try again. */
static void judge_again(void *argument)
{
    struct user_statement_task *task = argument;
    waiters_put(task->mount->waiters, &task->resuming, judge, task);
}

/* Parks the task until its turn for a lock. -EINTR: it is not needed any more. */
static int park_judging(struct user_statement_task *task)
{
    pthread_mutex_lock(&task->mount->lock);
    int rc = task->stop ? -EINTR : 0;
    if (rc == 0)
        lock_turn_park(task->mount->place.line, &task->turn, judge_again, task);
    pthread_mutex_unlock(&task->mount->lock);
    return rc;
}

static void judge(void *argument)
{
    struct user_statement_task *task = argument;
    struct mount *mount = task->mount;
    struct error error = {""};
    struct patience patience = {.waits = true, .stop = &task->stop, .turn = &task->turn};
    const struct server_work server_work = {.place = &mount->place,
                                            .relation = &task->relation,
                                            .what = "statement",
                                            .stop = &task->stop,
                                            .work = ask_statement,
                                            .context = task};
    int rc = take_number(task, &error);
    patience_begin(&patience);
    if (rc == 0)
        rc = server_turn_do(&server_work, &error);
    patience_end(&patience);
    if (patience.refused && (rc = park_judging(task)) == 0)
        return;
    lock_wait_over(&mount->lock_waits, &task->turn.wait);
    pthread_mutex_lock(&mount->lock);
    end_judging(task, rc, &error);
    value_check_unref(&task->check);
    pthread_mutex_unlock(&mount->lock);
}

int user_statement_task_begin(struct user_statement *statement, uint64_t number, char *text,
                              struct value_check **check, struct error *error)
{
    struct user_statement_task *task = calloc(1, sizeof *task);
    int rc = task == NULL ? -ENOMEM : user_statement_relation(statement, text, &task->relation);
    if (rc < 0) {
        free(task);
        return error_set(error, rc, "no memory");
    }
    task->check = (struct value_check){.free = free_task, .stop = stop, .refs = 1, .making = true};
    task->mount = statement->values.mount;
    task->statement = user_statement_ref(statement);
    task->number = number;
    task->text = shared_text_ref(text);
    task->stop = task->mount->ending;
    put_under_way(task);
    value_check_ref(&task->check);
    if (waiters_add(task->mount->waiters, judge, task) < 0) {
        take_off(task);
        value_check_unref(&task->check);
        value_check_unref(&task->check);
        return error_set(error, -ENOMEM, "no memory");
    }
    *check = &task->check;
    return -EAGAIN;
}

void user_statement_task_stop_of(const struct user_statement *statement)
{
    struct user_statement_task *task = statement->values.mount->tree->user_statement_tasks;
    for (; task != NULL; task = task->next)
        if (task->statement == statement)
            stop(&task->check);
}

void user_statement_task_stop_all(struct mount *mount)
{
    for (struct user_statement_task *task = mount->tree->user_statement_tasks; task != NULL;
         task = task->next)
        stop(&task->check);
}
