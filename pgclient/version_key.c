#include "pgclient/version_key.h"

#include "codec/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int version_key_copy(const struct version_key *from, struct version_key *out)
{
    struct version_key copy = *from;
    copy.mark = from->mark != NULL ? strdup(from->mark) : NULL;
    copy.signature = from->signature != NULL ? strdup(from->signature) : NULL;
    if ((copy.mark == NULL) != (from->mark == NULL) ||
        (copy.signature == NULL) != (from->signature == NULL)) {
        version_key_clear(&copy);
        return -ENOMEM;
    }
    *out = copy;
    return 0;
}

void version_key_clear(struct version_key *key)
{
    free(key->mark);
    free(key->signature);
    *key = (struct version_key){0};
}

static bool same_run(const struct server_run *a, const struct server_run *b)
{
    return a->timeline == b->timeline && strcmp(a->text, b->text) == 0;
}

/* The run's place in the key; -1: it is not listed. */
static int find_run(const struct version_key *key, const struct server_run *run)
{
    for (int i = 0; i < key->run_count; i++)
        if (same_run(&key->runs[i], run))
            return i;
    return -1;
}

bool version_key_believes(const struct version_key *known, const struct version_key *now)
{
    if (now->run_count == 0)
        return false;
    int i = find_run(known, &now->runs[0]);
    return i >= 0 && now->runs[0].position >= known->runs[i].position;
}

int version_key_prove(struct version_key *known, const struct version_key *now)
{
    char *mark = strdup(now->mark);
    if (mark == NULL)
        return -ENOMEM;
    free(known->mark);
    known->mark = mark;
    known->proves = now->proves;
    int i = now->run_count > 0 ? find_run(known, &now->runs[0]) : 0;
    if (now->run_count == 0)
        return 0;
    if (i < 0 && known->run_count < RUNS_KEPT)
        known->run_count++;
    if (i < 0)
        i = known->run_count - 1;
    memmove(&known->runs[1], &known->runs[0], (size_t)i * sizeof known->runs[0]);
    known->runs[0] = now->runs[0];
    return 0;
}

void version_key_inherit(struct version_key *key, const struct version_key *older)
{
    for (int i = 0; i < older->run_count && key->run_count < RUNS_KEPT; i++)
        if (find_run(key, &older->runs[i]) < 0)
            key->runs[key->run_count++] = older->runs[i];
}

uint64_t server_run_id(const struct server_run *run)
{
    uint64_t parts[] = {hash64(run->text, strlen(run->text)), run->timeline};
    uint64_t id = hash64(parts, sizeof parts);
    return id != 0 ? id : 1;
}

bool mark_holds(const char *known, const char *now)
{
    const char *a = strrchr(known, '@'), *b = strrchr(now, '@');
    return a != NULL && b != NULL && a - known == b - now &&
           memcmp(known, now, (size_t)(a - known)) == 0 &&
           strtoull(b + 1, NULL, 10) >= strtoull(a + 1, NULL, 10);
}

bool mark_horizon(const char *mark, uint32_t *out)
{
    unsigned long long first = 0, next = 0;
    const char *snapshot = strrchr(mark, '/');
    if (snapshot == NULL || sscanf(snapshot, "/%llu:%llu:", &first, &next) != 2)
        return false;
    *out = (uint32_t)next;
    return true;
}

int mark_check(const char *mark, uint64_t system_id, uint32_t database, struct error *error)
{
    unsigned long long system = 0;
    unsigned oid = 0;
    if (sscanf(mark, "%llu/%u/", &system, &oid) == 2 && system == system_id && oid == database)
        return 0;
    return error_set(error, -EIO,
                     "the server behind this connection is another one than was mounted (system "
                     "identifier or database differ); unmount and mount again");
}
