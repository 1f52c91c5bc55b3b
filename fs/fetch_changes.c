#include "fs/fetch_changes.h"

#include <errno.h>
#include <stdlib.h>

static int add(struct changes *changes, const struct stretch *stretch)
{
    size_t n = changes->count;
    if ((n & (n - 1)) == 0) { /* at each power of two, room for as many again */
        struct stretch *grown = realloc(changes->stretches, (n == 0 ? 1 : 2 * n) * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        changes->stretches = grown;
    }
    changes->stretches[changes->count++] = *stretch;
    return 0;
}

static int stretch_out(const struct snapshot *old, struct changes *changes)
{
    const struct ctid everywhere = {UINT32_MAX, 0};
    size_t next = 0;
    for (uint32_t i = 0; i < old->source_count; i++) {
        struct stretch stretch = {.source = i};
        do {
            bool mine = next < old->group_count && old->groups[next]->source == i;
            stretch.group = mine ? old->groups[next++] : NULL;
            bool last = next >= old->group_count || old->groups[next]->source != i;
            stretch.range.end = mine && !last ? stretch.group->range.end : everywhere;
            int rc = add(changes, &stretch);
            if (rc < 0)
                return rc;
            stretch.range.first = stretch.range.end;
        } while (stretch.range.end.block != UINT32_MAX);
    }
    /* Groups out of order: not a record of ours. */
    return next == old->group_count ? 0 : -EBADMSG;
}

/* One statement's worth. */
struct asking {
    struct changes *changes;
    const struct source *sources;
    size_t each; /* stretches */
    struct progress *progress;
};

static int compare_some(void *context, size_t number, struct session *session, struct error *error)
{
    const struct asking *asking = context;
    const struct changes *changes = asking->changes;
    size_t at = number * asking->each, end = at + asking->each;
    end = end < changes->count ? end : changes->count;
    struct ctid_range *ranges = malloc(asking->each * sizeof *ranges);
    struct fingerprint *now = malloc(asking->each * sizeof *now);
    int rc =
        ranges == NULL || now == NULL ? error_set(error, -ENOMEM, "no memory to compare with") : 0;
    while (rc == 0 && at < end) {
        struct stretch *first = &changes->stretches[at];
        size_t n = 0;
        for (; at + n < end && first[n].source == first->source; n++)
            ranges[n] = first[n].range;
        memset(now, 0, n * sizeof *now);
        rc = readpoint_fingerprint(session, &asking->sources[first->source], ranges, n, now, error);
        for (size_t i = 0; rc == 0 && i < n; i++) {
            const struct group *group = first[i].group;
            first[i].changed = now[i].rows != (group != NULL ? group->rows : 0) ||
                               now[i].sum != (group != NULL ? group->row_id_sum : 0);
        }
        at += n;
        asking->progress->done += n;
    }
    free(ranges);
    free(now);
    return rc;
}

int changes_find(struct crew *crew, const struct snapshot *old, struct progress *progress,
                 struct changes *out, struct error *error)
{
    enum { AT_ONCE = 64, ROWS_FOR_ONE = 20000 };
    *out = (struct changes){0};
    int rc = stretch_out(old, out);
    if (rc < 0) {
        changes_clear(out);
        return error_set(error, rc, "no memory to compare with");
    }
    progress_stage(progress, STAGE_COMPARING, out->count);
    struct asking asking = {
        .changes = out, .sources = crew_readpoint(crew)->sources, .progress = progress};
    /* Another session costs more than so many rows do. */
    asking.each = old->rows < ROWS_FOR_ONE ? out->count : out->count / 8 + 1;
    asking.each = asking.each < AT_ONCE ? asking.each : AT_ONCE;
    if (out->count > 0)
        rc = crew_run(crew, (out->count + asking.each - 1) / asking.each, compare_some, &asking,
                      error);
    for (size_t i = 0; i < out->count; i++)
        out->changed += out->stretches[i].changed;
    if (rc < 0)
        changes_clear(out);
    return rc;
}

void changes_clear(struct changes *changes)
{
    free(changes->stretches);
    *changes = (struct changes){0};
}
