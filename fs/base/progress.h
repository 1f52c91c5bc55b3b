/* How far a job has come: the threads that work write it, those that ask read it. Threads: any. A
 * read while a stage begins may mix both stages; the numbers stay within their bounds. */
#ifndef FS_BASE_PROGRESS_H
#define FS_BASE_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

enum stage {
    STAGE_WAITING,   /* for a session, or for the server's first answer */
    STAGE_COMPARING, /* fingerprints */
    STAGE_COPYING,
    STAGE_MEASURING /* rendering rows that are here already, to know their size or hash */
};

struct progress {
    atomic_int stage;
    _Atomic uint64_t rows, bytes; /* received since the refresh began */
    _Atomic uint64_t done, total; /* steps of this stage, in its own unit; total 0: unknown */
    _Atomic uint64_t groups_copied, groups_kept;
    _Atomic unsigned gave_way; /* how often the job let go because others wanted our locks */
    _Atomic int64_t began, stage_began; /* clock_ms() */
};

/* Begins a job, or one of its refreshes: all counts are 0 again, and the stage is STAGE_WAITING. */
void progress_begin(struct progress *progress);

void progress_stage(struct progress *progress, enum stage stage, uint64_t total);

/* The stage's name in status.json. */
const char *progress_stage_name(const struct progress *progress);

/* How much of its stage is done, 0 to 100; -1: unknown. */
double progress_percent(const struct progress *progress);

/* Seconds until its stage ends at the speed it had until `now` (clock_ms()); -1: unknown, or it is
 * too early to say. */
double progress_seconds_left(const struct progress *progress, int64_t now);

#endif
