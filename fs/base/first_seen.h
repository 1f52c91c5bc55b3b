/* When the contents of a path were first seen, for files that have no time of their own. A path whose
 * contents have changed gets a later second than before. So many paths are remembered; then the one
 * that was seen longest ago is forgotten, and the next contents that are seen of it are new.
 *
 * Lifetime: first_seen_new, first_seen_free. Threads: none of its own; guarded by its owner.
 */
#ifndef FS_BASE_FIRST_SEEN_H
#define FS_BASE_FIRST_SEEN_H

#include "codec/error.h"

#include <stdint.h>

struct first_seen;

MUST_CHECK int first_seen_new(uint32_t most, struct first_seen **out);
void first_seen_free(struct first_seen *seen); /* NULL is fine */

/* The path has these contents, each as a number, at `now` (seconds since 1970). Gives since when. */
int64_t first_seen_note(struct first_seen *seen, uint64_t path, uint64_t contents, int64_t now);

#endif
