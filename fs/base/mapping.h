/* Files mapped for reading, guarded: if a file is cut short while it is mapped, the missing part
 * reads as zeroes and the mapping is marked as broken; without the guard the kernel would end the
 * process by SIGBUS.
 *
 * Each mapping sets the handler if it is not set; a SIGBUS elsewhere does what it did before.
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

/* Maps the whole file, of 1 to `most` bytes; the caller may then close `fd`. -ENOSPC: the process
 * has too many mappings. -EBADMSG: it is empty, larger, or no file. */
MUST_CHECK int mapping_open(int fd, uint64_t most, struct mapping **out);
void mapping_close(struct mapping *mapping); /* NULL is fine */

/* Little of the file is read, in places: from now on the kernel reads pages when they are touched,
 * without their neighbours, and ranges that mapping_expect names. Without this it reads on around
 * each touch, as far as the disk's read-ahead goes: 8 MiB are usual. */
void mapping_read_little(const struct mapping *mapping);

/* The range, cut at the end of the file, is read soon: the kernel begins to. */
void mapping_expect(const struct mapping *mapping, uint64_t offset, uint64_t size);

const uint8_t *mapping_bytes(const struct mapping *mapping, size_t *size);

/* Whether everything read from it so far was the file's. */
bool mapping_is_intact(const struct mapping *mapping);

/* How many mappings have been found broken since the process began. If the number is the same as
 * before, none has broken meanwhile. */
unsigned mapping_breaks(void);

#endif
