#include "fs/tables/promise.h"

#include "codec/clock.h"

#include <stdlib.h>
#include <string.h>

enum { PROMISE_MS = 1000 }; /* from a process's stat to its open */

static struct promise *find(const struct promises *promises, caller_id caller)
{
    int64_t now = clock_ms();
    for (size_t i = 0; i < promises->count; i++)
        if (promises->list[i].caller == caller)
            return now < promises->list[i].until ? &promises->list[i] : NULL;
    return NULL;
}

const struct promise *promise_find(const struct promises *promises, caller_id caller)
{
    return find(promises, caller);
}

static void drop(struct promises *promises, size_t i)
{
    version_unref(promises->list[i].version);
    memmove(&promises->list[i], &promises->list[i + 1],
            (--promises->count - i) * sizeof *promises->list);
}

static void drop_of(struct promises *promises, caller_id caller)
{
    for (size_t i = promises->count; i-- > 0;)
        if (promises->list[i].caller == caller)
            drop(promises, i);
}

/* The oldest come first, since all last equally long. */
void promises_expire(struct promises *promises)
{
    int64_t now = clock_ms();
    size_t over = 0;
    while (over < promises->count && now >= promises->list[over].until)
        version_unref(promises->list[over++].version);
    promises->count -= over;
    if (over > 0)
        memmove(promises->list, promises->list + over, promises->count * sizeof *promises->list);
    if (promises->count == 0)
        promises_clear(promises);
}

void promises_clear(struct promises *promises)
{
    while (promises->count > 0)
        drop(promises, promises->count - 1);
    free(promises->list);
    *promises = (struct promises){0};
}

bool promises_hold(const struct promises *promises, const struct version *but)
{
    int64_t now = clock_ms();
    bool held = false;
    for (size_t i = 0; i < promises->count && !held; i++) {
        const struct promise *promise = &promises->list[i];
        held = promise->version != NULL && promise->version != but && now < promise->until;
    }
    return held;
}

static bool make_room(struct promises *promises)
{
    enum { FIRST = 8 };
    promises_expire(promises);
    if (promises->count == PROMISES_AT_MOST)
        drop(promises, 0);
    if (promises->count < promises->room)
        return true;
    size_t room = promises->room == 0 ? FIRST : 2 * promises->room;
    struct promise *grown = realloc(promises->list, room * sizeof *grown);
    if (grown == NULL)
        return false;
    promises->list = grown;
    promises->room = room;
    return true;
}

static void put(struct promises *promises, const struct promise *promise)
{
    struct version *kept = promise->version != NULL ? version_ref(promise->version) : NULL;
    drop_of(promises, promise->caller);
    if (!make_room(promises)) {
        version_unref(kept);
        return;
    }
    struct promise *place = &promises->list[promises->count++];
    *place = *promise;
    place->version = kept;
    place->until = clock_ms() + PROMISE_MS;
}

/* For a caller that is many processes: how many opens of this version it was promised. (Not a
 * conditional expression: gcc 14 reads the field of a NULL promise for its other half.) */
static unsigned opens_promised(const struct promise *before, caller_id caller,
                               const struct version *version)
{
    if (caller_is_process(caller) || before == NULL)
        return 0;
    if (!before->told || before->version != version)
        return 0;
    return before->opens;
}

void promise_tell(struct promises *promises, caller_id caller, struct version *version)
{
    unsigned opens = opens_promised(find(promises, caller), caller, version);
    put(promises,
        &(struct promise){.caller = caller, .version = version, .opens = opens + 1, .told = true});
}

void promise_repeat(struct promises *promises, caller_id caller, struct version *version)
{
    struct promise *before = find(promises, caller);
    if (before == NULL || !before->told || before->version != version)
        promise_tell(promises, caller, version);
    else if (!caller_is_process(caller))
        before->opens++; /* it keeps its place in the list: its time is the same */
}

void promise_show(struct promises *promises, caller_id caller, struct version *version,
                  const struct glance *glance)
{
    const struct promise *before = find(promises, caller);
    if (before == NULL || !before->told)
        put(promises,
            &(struct promise){.caller = caller, .version = version, .glance = *glance, .opens = 1});
}

void promise_keep(struct promises *promises, caller_id caller)
{
    struct promise *promise = find(promises, caller);
    if (promise != NULL && promise->opens > 1)
        promise->opens--;
    else
        drop_of(promises, caller);
}
