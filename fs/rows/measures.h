/* What is known of the bodies of one row group: for each rendition that has been made, its size and
 * the note that came with it. A short list that only grows.
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

/* The measure of a rendition; NULL: it has not been measured. */
const struct measure *measures_find(const struct measures *measures,
                                    const struct rendition *rendition);

/* Adds a measure; copies the note (nullable). One that is there already stays as it is. */
MUST_CHECK int measures_add(struct measures *measures, const struct rendition *rendition,
                            uint64_t size, const struct note *note);

/* Adds all of `from`. */
MUST_CHECK int measures_copy(struct measures *measures, const struct measures *from);

/* The caller is the last reader. */
void measures_clear(struct measures *measures);

#endif
