/* What is known of the bodies of one row group: the size of each that has been made, by its
 * rendition, and the note that came with it. A short list, to which is only added.
 *
 * Threads: any; reading takes no lock. Errors: -ENOMEM.
 */
#ifndef FS_ROWS_MEASURES_H
#define FS_ROWS_MEASURES_H

#include "codec/rendition.h"

struct measure {
    struct measure *next;
    struct rendition rendition; /* with a reference to its columns */
    uint64_t size;
    size_t note_size;
    uint8_t note[];
};

/* Zeroed is empty. */
struct measures {
    _Atomic(struct measure *) first;
};

/* NULL: it has not been measured. */
const struct measure *measures_find(const struct measures *measures,
                                    const struct rendition *rendition);

/* Copies the note (nullable). What has been measured before stays as it is. */
MUST_CHECK int measures_add(struct measures *measures, const struct rendition *rendition,
                            uint64_t size, const struct note *note);

/* Adds all of `from`. */
MUST_CHECK int measures_copy(struct measures *measures, const struct measures *from);

/* Nobody else reads it any more. */
void measures_clear(struct measures *measures);

#endif
