#include "pgclient/verdicts.h"

#include "pgclient/trust.h"
#include "pgclient/version_key.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct verdicts {
    pthread_mutex_t lock;
    char *mark; /* NULL: nothing is known */
    PGresult *rows;
};

struct verdicts *verdicts_new(void)
{
    struct verdicts *verdicts = calloc(1, sizeof *verdicts);
    if (verdicts != NULL)
        pthread_mutex_init(&verdicts->lock, NULL);
    return verdicts;
}

void verdicts_free(struct verdicts *verdicts)
{
    if (verdicts == NULL)
        return;
    pthread_mutex_destroy(&verdicts->lock);
    PQclear(verdicts->rows);
    free(verdicts->mark);
    free(verdicts);
}

int verdicts_keep(struct verdicts *verdicts, const char *mark, PGresult *rows)
{
    char *copy = strdup(mark);
    if (copy == NULL) {
        PQclear(rows);
        return -ENOMEM;
    }
    pthread_mutex_lock(&verdicts->lock);
    char *old_mark = verdicts->mark;
    PGresult *old = verdicts->rows;
    verdicts->mark = copy;
    verdicts->rows = rows;
    pthread_mutex_unlock(&verdicts->lock);
    free(old_mark);
    PQclear(old);
    return 0;
}

static uint32_t relation_of(const PGresult *rows, int row)
{
    return (uint32_t)strtoul(PQgetvalue(rows, row, TRUST_RELATION), NULL, 10);
}

int verdicts_find(const PGresult *rows, uint32_t relation)
{
    int low = 0, high = PQntuples(rows);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (relation_of(rows, middle) < relation)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool verdicts_allow(struct verdicts *verdicts, const char *mark, uint32_t relation)
{
    pthread_mutex_lock(&verdicts->lock);
    bool allow = verdicts->mark != NULL && mark_holds(verdicts->mark, mark);
    if (allow) {
        int i = verdicts_find(verdicts->rows, relation);
        allow = i == PQntuples(verdicts->rows) || relation_of(verdicts->rows, i) != relation;
    }
    pthread_mutex_unlock(&verdicts->lock);
    return allow;
}
