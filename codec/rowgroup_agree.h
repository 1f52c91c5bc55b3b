/* Whether two row groups may be of one history, so that row ids mean the same in both.
 *
 * Both are in the order of their ctids, and of one schema. They agree if rows of the same id have
 * the same values, and each row that only the later group has is of a transaction at or behind
 * `horizon` (transaction ids are compared in a circle): the earlier group had all rows from before
 * that. False, too, if there is no memory to find out.
 */
#ifndef CODEC_ROWGROUP_AGREE_H
#define CODEC_ROWGROUP_AGREE_H

#include "codec/rowgroup.h"

bool rowgroup_agrees(const struct rowgroup *earlier, const struct rowgroup *later,
                     uint32_t horizon);

#endif
