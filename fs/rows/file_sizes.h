/* How many bytes each file of a store counts as. What was added when a file came is subtracted when
 * it goes, whatever has become of the file meanwhile: cut short, grown, deleted.
 *
 * Threads: the owner locks. Errors: -ENOMEM.
 */
#ifndef FS_ROWS_FILE_SIZES_H
#define FS_ROWS_FILE_SIZES_H

#include "codec/buffer.h"

#include <stdbool.h>

struct file_key {
    uint64_t id;
    uint32_t relation;
    bool index; /* else a row group */
};

struct file_size {
    struct file_key key;
    uint64_t size; /* 0: the place is free */
};

/* Zeroed is empty. */
struct file_sizes {
    struct file_size *places; /* a power of two of them, at least half of them free; NULL: none */
    size_t room, count;
};

void file_sizes_clear(struct file_sizes *sizes);

/* Counts the file as `size` bytes, which is not 0. *before: what it counted as until now; 0: it did
 * not count. */
MUST_CHECK int file_sizes_set(struct file_sizes *sizes, struct file_key key, uint64_t size,
                              uint64_t *before);
/* Gives what the file counted as; from now on it does not count. */
uint64_t file_sizes_remove(struct file_sizes *sizes, struct file_key key);
/* A copy of all keys, for the caller to free. */
MUST_CHECK int file_sizes_list(const struct file_sizes *sizes, struct file_key **out,
                               size_t *count);

#endif
