/* Whether two row groups may be of one history: whether row ids mean the same in both.
 *
 * Both are in the order of their ctids, and of one schema. Rows of the same id must have the same
 * values; a row that only the later one has must be of a transaction at or behind `horizon` (as
 * transaction ids are compared, in a circle), before which all rows were in the earlier one. False,
 * too, where there is no memory to find out.
 */
#ifndef CODEC_ROWGROUP_AGREE_H
#define CODEC_ROWGROUP_AGREE_H

#include "codec/rowgroup.h"

bool rowgroup_agrees(const struct rowgroup *earlier, const struct rowgroup *later,
                     uint32_t horizon);

#endif
