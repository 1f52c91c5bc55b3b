/* The hash of a row version's identity, (ctid, xmin), whose sum over a table is its fingerprint.
 *
 * Equals PostgreSQL's hashtidextended(ctid, xmin::text::int8) of a little-endian server, so that
 * the sum over rows held here can be compared with the sum that the server computes. Pure.
 */
#ifndef CODEC_ROW_ID_H
#define CODEC_ROW_ID_H

#include <stddef.h>
#include <stdint.h>

uint64_t row_id_hash(uint32_t block, uint16_t offset, uint32_t xmin);

/* The sum over row ids as a row group keeps them (rowgroup.h), modulo 2^64. */
uint64_t row_id_sum(const uint8_t *row_ids, size_t rows);

#endif
