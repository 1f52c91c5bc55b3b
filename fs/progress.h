/* How far a job has come: written by the threads that work, read by those who ask. Any thread. */
#ifndef FS_PROGRESS_H
#define FS_PROGRESS_H

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
    _Atomic int64_t stage_began; /* clock_ms() */
};

void progress_stage(struct progress *progress, enum stage stage, uint64_t total);

#endif
