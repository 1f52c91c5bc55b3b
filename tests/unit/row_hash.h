/* The hash of one row's identity, which codec/row_id.h sums up. */
#ifndef ROW_HASH_H
#define ROW_HASH_H

#include "codec/bytes.h"
#include "codec/row_id.h"

static inline uint64_t row_hash(uint32_t block, uint16_t offset, uint32_t xmin)
{
    uint8_t id[10];
    store_le32(id, block);
    store_le32(id + 4, xmin);
    store_le16(id + 8, offset);
    return row_id_sum(id, 1);
}

#endif
