/* The order of two values of a key: that of the type's default btree operators in PostgreSQL, if
 * the COPY BINARY bytes tell it; else, and for all text, that of the bytes. Pure. */
#ifndef CODEC_KEY_COMPARE_H
#define CODEC_KEY_COMPARE_H

#include "codec/schema.h"

/* What orders the COPY BINARY bytes of a type. */
enum key_order {
    KEY_TEXT,     /* not known: the bytes of its text, or, if it is rendered here, of its value */
    KEY_BYTES,    /* bytes without a sign; of two that begin alike, the shorter comes first */
    KEY_SIGNED,   /* an integer with a sign */
    KEY_FLOAT,    /* a floating-point number */
    KEY_NUMERIC,  /* numeric */
    KEY_INTERVAL, /* interval, by its length with months of 30 days */
    KEY_TIMETZ,   /* timetz, by its moment in UTC, then by its zone */
    KEY_NETWORK,  /* inet, cidr: the family, the network, how long it is, the address */
    KEY_BITS      /* bit, varbit */
};

/* The order of a type of pg_catalog, by its pg_type.typname; for a domain, ask for its base type.
 * KEY_TEXT for any other name. */
enum key_order key_order_of(const char *type);

/* The part of the column that is compared. PART_NONE: it has neither text, nor a binary that can be
 * compared. */
int key_part(const struct column *column, enum key_order order);

/* Negative, 0 or positive. The values are of the part that key_part() names, and not NULL. Bytes
 * that are not a value of the type have an order, too: any. */
int key_compare(const struct column *column, enum key_order order, const uint8_t *a, size_t a_size,
                const uint8_t *b, size_t b_size);

#endif
