/* From the bytes of a COPY to row groups: frames the stream, collects tuples, and hands out each
 * group when it is full.
 *
 * Lifetime: group_copy_init, feed it as a copy_sink, group_copy_finish, group_copy_clear.
 */
#ifndef FS_ROWS_GROUP_COPY_H
#define FS_ROWS_GROUP_COPY_H

#include "codec/copy_stream.h"
#include "codec/rowgroup.h"
#include "pgclient/readpoint.h"

/* Takes a group and gets the range of ctids that it stands for: from the end of the group before to
 * the first row of the next. */
typedef int group_sink(void *context, struct rowgroup *rows, const struct ctid_range *range);

struct group_copy {
    struct copy_stream stream;
    struct rowgroup_builder *builder;
    const struct schema *schema;
    uint64_t group_bytes; /* a group ends before the row that would come after so many bytes */
    uint32_t group_rows;  /* or after so many rows */
    /* Or before the first row at or behind each of these, which are in order; borrowed. */
    const struct ctid *cuts;
    size_t cut_count;
    /* The range that the stream was asked for; later, what is left of it from the next group on. */
    struct ctid_range range;
    group_sink *sink;
    void *context;
    struct error *error;
};

MUST_CHECK int group_copy_init(struct group_copy *copy, const struct schema *schema,
                               const struct ctid_range *range, group_sink *sink, void *context,
                               struct error *error);

/* A copy_sink; `context` is the group_copy. */
int group_copy_feed(void *context, const uint8_t *bytes, size_t size);

/* To be called after the COPY ended well: checks that the stream did too, with as many rows as the
 * server says it has sent, and hands out the last group, if it has rows. */
MUST_CHECK int group_copy_finish(struct group_copy *copy, uint64_t said);
void group_copy_clear(struct group_copy *copy);

#endif
