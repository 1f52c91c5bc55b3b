/* What users have written below query/, and the mount keeps in memory for that: questions of
 * conversations, values of sessions and of files that are open. All of it has one budget, half of
 * memory=, however many files it is in.
 *
 * Threads: any; what one part has is guarded by its owner. Lifetime: outlives all parts.
 */
#ifndef FS_BASE_WRITTEN_H
#define FS_BASE_WRITTEN_H

#include "codec/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct written {
    uint64_t most; /* bytes */
    _Atomic uint64_t bytes;
};

void written_init(struct written *written, uint64_t memory);

/* The part that had *bytes has `now` from here on. -ENOBUFS, with what to do, and nothing has
 * changed: that is more, and too much. NULL: nothing is counted. */
MUST_CHECK int written_change(struct written *written, uint64_t *bytes, uint64_t now,
                              struct error *error);

/* The same, for what there is already. */
void written_note(struct written *written, uint64_t *bytes, uint64_t now);

#endif
