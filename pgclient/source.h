/* Where the rows of a relation come from.
 *
 * A source is an ordinary heap (a table, a materialized view, a partition: its rows have a usable
 * ctid, so any range of them can be copied again), or a stream (a view, a foreign table, another
 * table access method: one COPY, all or nothing).
 */
#ifndef PGCLIENT_SOURCE_H
#define PGCLIENT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

struct source {
    uint32_t oid;
    uint32_t filenode; /* pg_relation_filenode(); 0: none */
    bool by_ctid;      /* a heap; else a stream */
    uint32_t pages;    /* of a heap: under this snapshot no row is beyond them */
    uint64_t bytes;    /* pg_table_size(), with TOAST */
    char *from;        /* what stands behind FROM: ONLY "s"."t" */
};

/* Rows with first <= ctid < end; end of {UINT32_MAX, 0}: to the end. */
struct ctid {
    uint32_t block;
    uint16_t offset;
};
static inline bool ctid_before(struct ctid a, struct ctid b)
{
    return a.block != b.block ? a.block < b.block : a.offset < b.offset;
}
struct ctid_range {
    struct ctid first, end;
};

#endif
