/* The texts of a column's integers, made for a block of rows at once: so rows are put together by
 * copies of a fixed size.
 *
 * Each text has a lane, and ends where the lane ends. The byte that stands behind it in its row
 * (here a comma) is the first of the next lane. In lanes of 16 bytes, -17 and 23456 are:
 *
 *   ,-------------17,----------23456,…      dashes in front of the digits; a sign is one of them
 *
 * Threads: one owner.
 */
#ifndef CODEC_INTEGER_LANES_H
#define CODEC_INTEGER_LANES_H

#include "codec/rowgroup.h"

enum {
    LANES = 64,
    LANE_MOST = 32 /* bytes of the widest lane */
};

struct integer_lanes {
    uint8_t width;         /* of a lane: 32 for int8, else 16 */
    uint8_t length[LANES]; /* of text and the byte behind it; 1: NULL */
    uint8_t text[(LANES + 1) * LANE_MOST];
};

/* One for each column of integers, from malloc. NULL: there is no such column, or this processor
 * makes texts faster one by one. -ENOMEM. */
MUST_CHECK int integer_lanes_new(const struct schema *schema, struct integer_lanes **out);

/* Whether lanes are faster for this run than texts one by one. */
bool integer_lanes_pay(const struct run *run);

/* Fills lanes with the next `rows` values of the cursor, at most LANES; `end` stands behind each
 * text. False: a value is not of that size. */
MUST_CHECK bool integer_lanes_fill(struct integer_lanes *lanes, struct run_cursor *cursor,
                                   uint32_t rows, size_t wire_size, uint8_t end);

static inline bool integer_lane_is_null(const struct integer_lanes *lanes, uint32_t row)
{
    return lanes->length[row] == 1;
}

/* Writes the lane's text and the byte behind it, into a room of LANE_MOST bytes. Returns its
 * end. */
static inline uint8_t *integer_lane_write(const struct integer_lanes *lanes, uint32_t row,
                                          uint8_t *at)
{
    size_t length = lanes->length[row];
    if (lanes->width == LANE_MOST)
        memcpy(at, lanes->text + ((size_t)row + 1) * LANE_MOST + 1 - length, LANE_MOST);
    else
        memcpy(at, lanes->text + ((size_t)row + 1) * 16 + 1 - length, 16);
    return at + length;
}

#endif
