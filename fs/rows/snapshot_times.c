#include "fs/rows/snapshot_times.h"

#include <errno.h>
#include <stdlib.h>

struct group_times snapshot_times(const struct snapshot *snapshot, size_t group)
{
    if (snapshot->times != NULL)
        return snapshot->times[group];
    return (struct group_times){.since = snapshot->mtime, .behind = snapshot->mtime};
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* The latest time that any of its files, whole or in pieces, can have. */
static int64_t latest(const struct snapshot *snapshot)
{
    int64_t time = snapshot->mtime;
    for (size_t i = 0; i < snapshot->group_count; i++) {
        struct group_times times = snapshot_times(snapshot, i);
        time = later(time, later(times.since, times.behind));
    }
    return time;
}

/* Whether the same rows are the same bytes in both, under the same name. */
static bool renders_alike(const struct snapshot *a, const struct snapshot *b)
{
    return a->key.output == b->key.output && a->relation.kind == b->relation.kind &&
           strcmp(a->relation.name, b->relation.name) == 0 &&
           strcmp(a->relation.schema, b->relation.schema) == 0 && schema_same(a->schema, b->schema);
}

/* Where a walk over the groups is. */
struct place {
    const struct snapshot *snapshot;
    size_t group;  /* its number */
    size_t number; /* the same among those of its source */
};

static const struct group *group_at(const struct place *place)
{
    return place->group < place->snapshot->group_count ? place->snapshot->groups[place->group]
                                                       : NULL;
}

static void go_on(struct place *place)
{
    uint32_t source = group_at(place)->source;
    place->group++;
    const struct group *next = group_at(place);
    place->number = next != NULL && next->source == source ? place->number + 1 : 0;
}

/* Whether `a`, which is there, comes before `b` by its place. */
static bool is_before(const struct place *a, const struct place *b)
{
    const struct group *x = group_at(a), *y = group_at(b);
    if (x->source != y->source)
        return x->source < y->source;
    if (!b->snapshot->sources[y->source].by_ctid)
        return a->number < b->number;
    return ctid_before(x->range.first, y->range.first);
}

static bool same_ctid(struct ctid a, struct ctid b)
{
    return a.block == b.block && a.offset == b.offset;
}

/* Whether the group is the first that begins in its page: only then can it be the first of a piece. */
static bool begins_page(const struct place *place)
{
    const struct group *group = group_at(place);
    return place->number == 0 ||
           place->snapshot->groups[place->group - 1]->range.first.block != group->range.first.block;
}

/* Whether these are the same rows in the same place. */
static bool is_same(const struct place *a, const struct place *b)
{
    const struct group *x = group_at(a), *y = group_at(b);
    if (x == NULL || x->source != y->source || !group_same(x, y))
        return false;
    const struct snapshot_source *was = &a->snapshot->sources[x->source],
                                 *is = &b->snapshot->sources[y->source];
    if (was->oid != is->oid || was->by_ctid != is->by_ctid)
        return false;
    return is->by_ctid
               ? same_ctid(x->range.first, y->range.first) &&
                     same_ctid(x->range.end, y->range.end) && begins_page(a) == begins_page(b)
               : a->number == b->number;
}

static bool ends_source(const struct snapshot *snapshot, size_t group)
{
    return group + 1 == snapshot->group_count ||
           snapshot->groups[group + 1]->source != snapshot->groups[group]->source;
}

enum { NO_GROUP = -1 };

/* Behind a change in a stream the pieces of the same numbers may begin elsewhere. */
static bool is_behind_change(const struct place *place, const ssize_t *in)
{
    bool by_ctid = place->snapshot->sources[group_at(place)->source].by_ctid;
    return !by_ctid && place->number > 0 && in[place->group - 1] == NO_GROUP;
}

/* The number in `old` of each group of `fresh`; NO_GROUP: it has none that is the same. */
static void match(const struct snapshot *fresh, const struct snapshot *old, ssize_t *out)
{
    struct place was = {.snapshot = old}, is = {.snapshot = fresh};
    bool alike = renders_alike(fresh, old);
    for (; group_at(&is) != NULL; go_on(&is)) {
        while (group_at(&was) != NULL && is_before(&was, &is))
            go_on(&was);
        bool same = alike && is_same(&was, &is) && !is_behind_change(&is, out);
        out[is.group] = same ? (ssize_t)was.group : NO_GROUP;
    }
}

static bool same_behind(const struct snapshot *fresh, const struct snapshot *old, const ssize_t *in,
                        size_t group)
{
    if (in[group] == NO_GROUP)
        return false;
    bool ends = ends_source(fresh, group);
    if (ends || ends_source(old, (size_t)in[group]))
        return ends && ends_source(old, (size_t)in[group]);
    return in[group + 1] == in[group] + 1;
}

int snapshot_take_times(struct snapshot *fresh, const struct snapshot *old)
{
    if (old == NULL)
        return 0;
    ssize_t *in = malloc((fresh->group_count + 1) * sizeof *in);
    struct group_times *times = malloc((fresh->group_count + 1) * sizeof *times);
    if (in == NULL || times == NULL) {
        free(in);
        free(times);
        return -ENOMEM;
    }
    int64_t now = later(fresh->mtime, latest(old) + 1);
    match(fresh, old, in);
    for (size_t i = 0; i < fresh->group_count; i++) {
        struct group_times was = {now, now};
        if (in[i] != NO_GROUP)
            was = snapshot_times(old, (size_t)in[i]);
        times[i] = (struct group_times){
            .since = was.since, .behind = same_behind(fresh, old, in, i) ? was.behind : now};
    }
    free(in);
    free(fresh->times);
    fresh->times = times;
    return 0;
}
