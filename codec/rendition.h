/* A rendition: how rows become the bytes of a file: a format, and the columns that it is given.
 *
 * Lifetime: columns are reference-counted and immutable; a rendition is a value that borrows them.
 * Threads: any.
 */
#ifndef CODEC_RENDITION_H
#define CODEC_RENDITION_H

#include "codec/format.h"

#include <stdatomic.h>

/* Some columns of a schema, by their numbers, in the order in which a file has them. */
struct columns {
    atomic_uint refs;
    int count;
    int numbers[];
};

MUST_CHECK int columns_new(const int *numbers, int count, struct columns **out);
struct columns *columns_ref(struct columns *columns); /* NULL: NULL */
void columns_unref(struct columns *columns);

struct rendition {
    const struct format *format;
    struct columns *columns; /* NULL: all */
};

bool rendition_same(const struct rendition *a, const struct rendition *b);

/* Of two that are the same: the same. What is all columns' is the format's number. */
uint64_t rendition_hash(const struct rendition *rendition);

#endif
