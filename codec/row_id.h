/* A table's fingerprint: the sum, modulo 2^64, of the hashes of its row versions' (ctid, xmin).
 *
 * The hash equals hashtidextended(ctid, xmin::text::int8) of a little-endian PostgreSQL server: so
 * the sum over rows held here can be compared with the sum that the server computes. Pure.
 */
#ifndef CODEC_ROW_ID_H
#define CODEC_ROW_ID_H

#include <stddef.h>
#include <stdint.h>

/* Of row ids as a row group keeps them (rowgroup.h). */
uint64_t row_id_sum(const uint8_t *row_ids, size_t rows);

#endif
