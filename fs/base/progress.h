/* How far a job has come: written by the threads that work, read by those who ask. Any thread. What
 * is read while a stage begins may be of both stages; it stays within its bounds. */
#ifndef FS_BASE_PROGRESS_H
#define FS_BASE_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

enum stage {
    STAGE_WAITING,   /* for a session, or the server's first answer */
    STAGE_COMPARING, /* fingerprints */
    STAGE_COPYING,
    STAGE_MEASURING /* rendering what is here already, to know its size or its hash */
};

struct progress {
    atomic_int stage;
    _Atomic uint64_t rows, bytes; /* received since the refresh began */
    _Atomic uint64_t done, total; /* of this stage, in steps of its own; total 0: nobody knows */
    _Atomic uint64_t groups_copied, groups_kept;
    _Atomic unsigned gave_way;          /* so often others wanted our locks */
    _Atomic int64_t began, stage_began; /* clock_ms() */
};

/* Of a job, or of one of its refreshes: all is back at 0, and it waits. */
void progress_begin(struct progress *progress);

void progress_stage(struct progress *progress, enum stage stage, uint64_t total);

/* As status.json writes it. */
const char *progress_stage_name(const struct progress *progress);

/* How much of its stage is done, 0 to 100; -1: nobody knows. */
double progress_percent(const struct progress *progress);

/* Seconds until its stage ends at the speed it had until `now` (clock_ms()); -1: nobody knows, or
 * it is too early to say. */
double progress_seconds_left(const struct progress *progress, int64_t now);

#endif
