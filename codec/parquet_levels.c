#include "codec/parquet_levels.h"

#include "codec/bytes.h"
#include "codec/thrift_compact.h"

#include <stdbool.h>

enum { LOT = 8 }; /* levels that are packed together */

static void note(struct levels *levels, int rc)
{
    if (levels->failed == 0)
        levels->failed = rc;
}

void levels_open(struct levels *levels, unsigned most, struct buffer *out)
{
    *levels = (struct levels){.out = out, .bit_width = most > 1 ? 2 : 1, .start = out->size};
    note(levels, buffer_append(out, "\0\0\0\0", 4));
}

static void pack(struct levels *levels, uint8_t level)
{
    levels->pending_bits |= (uint32_t)level << levels->pending * levels->bit_width;
    if (++levels->pending < LOT)
        return;
    for (unsigned byte = 0; byte < levels->bit_width; byte++)
        note(levels,
             buffer_append_byte(&levels->packed, (uint8_t)(levels->pending_bits >> 8 * byte)));
    levels->pending = levels->pending_bits = 0;
}

/* Writes what is packed, which is whole lots. */
static void flush_packed(struct levels *levels)
{
    size_t lots = levels->packed.size / levels->bit_width;
    if (levels->failed < 0 || lots == 0)
        return;
    note(levels, varint_put(levels->out, lots << 1 | 1));
    if (levels->failed == 0)
        note(levels, buffer_append(levels->out, levels->packed.data, levels->packed.size));
    levels->packed.size = 0;
}

static void put_equal(struct levels *levels, uint32_t count)
{
    flush_packed(levels);
    if (levels->failed == 0)
        note(levels, varint_put(levels->out, (uint64_t)count << 1));
    if (levels->failed == 0)
        note(levels, buffer_append_byte(levels->out, levels->level));
}

/* The equal levels are complete: others follow, or none. */
static void settle(struct levels *levels, bool last)
{
    for (; levels->equal > 0 && levels->pending > 0; levels->equal--)
        pack(levels, levels->level);
    if (levels->equal >= LOT || (last && levels->equal > 0)) {
        put_equal(levels, levels->equal);
        levels->equal = 0;
    }
    for (; levels->equal > 0; levels->equal--)
        pack(levels, levels->level);
}

void levels_put(struct levels *levels, uint8_t level, uint32_t count)
{
    if (count > 0 && level != levels->level) {
        settle(levels, false);
        levels->level = level;
    }
    levels->equal += count;
}

int levels_close(struct levels *levels)
{
    settle(levels, true);
    while (levels->pending > 0)
        pack(levels, 0);
    flush_packed(levels);
    if (levels->failed == 0)
        store_le32(levels->out->data + levels->start,
                   (uint32_t)(levels->out->size - levels->start - 4));
    buffer_clear(&levels->packed);
    return levels->failed;
}
