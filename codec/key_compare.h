/* The order of two values of a key: that of their type, text by its bytes. Pure. */
#ifndef CODEC_KEY_COMPARE_H
#define CODEC_KEY_COMPARE_H

#include "codec/schema.h"

/* Negative, 0 or positive. The values are of the column's part that key_part() names; not NULL. */
int key_compare(const struct column *column, const uint8_t *a, size_t a_size, const uint8_t *b,
                size_t b_size);

/* Its binary where its order is known from that, else the server's text; PART_NONE: it has
 * neither. */
int key_part(const struct column *column);

#endif
