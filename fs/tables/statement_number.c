#include "fs/tables/statement_number.h"

#include "fs/tables/table.h"

#include <errno.h>

static bool is_free(const struct mount *mount, uint32_t number)
{
    const struct table *table = mount->tables[number % TABLE_BUCKETS];
    while (table != NULL && table->relation.oid != number)
        table = table->next;
    return table == NULL && !mount->statements[number];
}

/* In a circle: what else goes by numbers (corpora, indexes) has time to let go of one. 0: there is
 * none. */
static uint32_t find_free(const struct mount *mount)
{
    for (uint32_t i = 0; i < STATEMENT_NUMBERS - 1; i++) {
        uint32_t number = (mount->statement_last + i) % (STATEMENT_NUMBERS - 1) + 1;
        if (is_free(mount, number))
            return number;
    }
    return 0;
}

int statement_number_take(struct mount *mount, uint32_t *out)
{
    pthread_mutex_lock(&mount->lock);
    uint32_t number = find_free(mount);
    mount->statements[number] = number != 0;
    if (number != 0)
        mount->statement_last = number;
    pthread_mutex_unlock(&mount->lock);
    if (number == 0)
        return -ENOSPC;
    store_drop_relation(mount->store, number);
    *out = number;
    return 0;
}

void statement_number_give(struct mount *mount, uint32_t number)
{
    if (number == 0)
        return;
    mount->statements[number] = false;
    mount->leftovers = true;
}

void statement_number_sweep(struct mount *mount)
{
    for (uint32_t number = 1; number < STATEMENT_NUMBERS; number++) {
        pthread_mutex_lock(&mount->lock);
        bool free = is_free(mount, number);
        mount->statements[number] |= free;
        pthread_mutex_unlock(&mount->lock);
        if (!free)
            continue;
        store_drop_relation(mount->store, number);
        pthread_mutex_lock(&mount->lock);
        mount->statements[number] = false;
        pthread_mutex_unlock(&mount->lock);
    }
}
