/* The order of two values of a key: as PostgreSQL's default btree operators of the type order them,
 * where that can be told from the COPY BINARY bytes; else, as of all text, by bytes. Pure. */
#ifndef CODEC_KEY_COMPARE_H
#define CODEC_KEY_COMPARE_H

#include "codec/schema.h"

/* What decides, in a type's COPY BINARY bytes. */
enum key_order {
    KEY_TEXT,     /* not known: its bytes as text, or as whatever is rendered here */
    KEY_BYTES,    /* bytes without a sign; of two that begin alike the shorter is first */
    KEY_SIGNED,   /* an integer with a sign */
    KEY_FLOAT,    /* a floating-point number */
    KEY_NUMERIC,  /* numeric */
    KEY_INTERVAL, /* interval, by its length with months of 30 days */
    KEY_TIMETZ,   /* timetz, by its moment in UTC, then by its zone */
    KEY_NETWORK,  /* inet, cidr: the family, the network, how long it is, the address */
    KEY_BITS      /* bit, varbit */
};

/* That of a type of pg_catalog, by its pg_type.typname; of a domain the caller gives its base type.
 * KEY_TEXT for any other name. */
enum key_order key_order_of(const char *type);

/* The part of the column that is compared: PART_NONE if it has neither a binary that can be, nor
 * text. */
int key_part(const struct column *column, enum key_order order);

/* Negative, 0 or positive. The values are of the column's part that key_part() names; not NULL.
 * Bytes that no value of the type has are in some order. */
int key_compare(const struct column *column, enum key_order order, const uint8_t *a, size_t a_size,
                const uint8_t *b, size_t b_size);

#endif
