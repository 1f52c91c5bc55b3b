#include "fs/progress.h"

#include "fs/mount.h"

void progress_stage(struct progress *progress, enum stage stage, uint64_t total)
{
    progress->done = 0;
    progress->total = total;
    progress->stage_began = clock_ms();
    progress->stage = stage;
}
