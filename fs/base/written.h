/* The budget of what users write below query/ and the mount keeps in memory: questions of
 * conversations, values of sessions and of open files. All of it together may take half of memory=,
 * however many files it is in.
 *
 * Threads: any; each part's owner guards the part. Lifetime: outlives all parts.
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

/* Counts a part that had *bytes as `now` bytes from here on. -ENOBUFS, with words that say what to
 * do, and without a change: the part grows, and the budget would be exceeded. `written` NULL:
 * nothing is counted. */
MUST_CHECK int written_change(struct written *written, uint64_t *bytes, uint64_t now,
                              struct error *error);

/* The same for bytes that exist already: it is not refused. */
void written_note(struct written *written, uint64_t *bytes, uint64_t now);

#endif
