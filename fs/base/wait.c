#include "fs/base/wait.h"

#include <stddef.h>

void wait_hang(struct wait *on, struct waiting *waiting)
{
    waiting->next = on->first;
    waiting->at = &on->first;
    if (waiting->next != NULL)
        waiting->next->at = &waiting->next;
    on->first = waiting;
}

void wait_take_off(struct waiting *waiting)
{
    if (waiting->at == NULL)
        return;
    *waiting->at = waiting->next;
    if (waiting->next != NULL)
        waiting->next->at = waiting->at;
    waiting->next = NULL;
    waiting->at = NULL;
}

void wait_make_due(struct waits *waits, struct waiting *waiting)
{
    wait_take_off(waiting);
    wait_hang(&waits->due, waiting);
}

/* One that must go on waiting is hung on another list than this one. */
void wait_try_due(struct waits *waits)
{
    while (waits->due.first != NULL) {
        struct waiting *waiting = waits->due.first;
        wait_take_off(waiting);
        struct wait *on = waiting->try(waiting);
        if (on != NULL)
            wait_hang(on, waiting);
    }
}

void wait_call(struct waits *waits, struct wait *on)
{
    while (on->first != NULL)
        wait_make_due(waits, on->first);
    wait_try_due(waits);
}
