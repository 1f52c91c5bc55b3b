/* Files mapped for reading, guarded: one that is cut short under our hands gives zeroes from there
 * on and is marked as broken, where the kernel would end the process by SIGBUS.
 *
 * The handler is set with each mapping, if it is not yet; a SIGBUS elsewhere does what it did
 * before.
 *
 * Lifetime: mapping_open, mapping_close (nobody reads any more). Threads: any.
 */
#ifndef FS_BASE_MAPPING_H
#define FS_BASE_MAPPING_H

#include "codec/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapping;

enum { MAPPINGS_MOST = 1 << 15 }; /* of the process; the kernel allows about twice as many */

/* The whole file, which must have a size, of `most` bytes at most; `fd` may be closed then.
 * -ENOSPC: there are too many, -EBADMSG: it is empty, larger, or no file. */
MUST_CHECK int mapping_open(int fd, uint64_t most, struct mapping **out);
void mapping_close(struct mapping *mapping); /* NULL is fine */

const uint8_t *mapping_bytes(const struct mapping *mapping, size_t *size);

/* Whether all that was read from it so far was the file's. */
bool mapping_is_intact(const struct mapping *mapping);

/* How many have been found broken since the process began: while it is the same, none has. */
unsigned mapping_breaks(void);

#endif
