#include "fs/base/progress.h"

#include "codec/clock.h"

enum { EARLY_MS = 1000 }; /* threads that start together bring their first results together */

void progress_begin(struct progress *progress)
{
    progress->rows = progress->bytes = progress->groups_copied = progress->groups_kept = 0;
    progress->gave_way = 0;
    progress->began = clock_ms();
    progress_stage(progress, STAGE_WAITING, 0);
}

void progress_stage(struct progress *progress, enum stage stage, uint64_t total)
{
    progress->done = 0;
    progress->total = total;
    progress->stage_began = clock_ms();
    progress->stage = stage;
}

const char *progress_stage_name(const struct progress *progress)
{
    static const char *const names[] = {[STAGE_WAITING] = "waiting",
                                        [STAGE_COMPARING] = "comparing",
                                        [STAGE_COPYING] = "copying",
                                        [STAGE_MEASURING] = "measuring"};
    int stage = progress->stage; /* gcc 12 would index by an atomic without reading it as one */
    return names[stage];
}

/* 0 to 1; -1: unknown. */
static double part_done(const struct progress *progress)
{
    uint64_t total = progress->total, done = progress->done;
    if (total == 0)
        return -1;
    return done < total ? (double)done / (double)total : 1;
}

double progress_percent(const struct progress *progress)
{
    double part = part_done(progress);
    return part < 0 ? -1 : 100 * part;
}

double progress_seconds_left(const struct progress *progress, int64_t now)
{
    double part = part_done(progress);
    int64_t ms = now - progress->stage_began;
    return part <= 0 || ms < EARLY_MS ? -1 : (double)ms / 1000 * (1 - part) / part;
}
