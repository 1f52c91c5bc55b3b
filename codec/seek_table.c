#include "codec/seek_table.h"

#include "codec/bytes.h"

#include <errno.h>

#define SKIPPABLE_MAGIC UINT32_C(0x184D2A5E)
#define SEEKABLE_MAGIC UINT32_C(0x8F92EAB1)

enum { HEAD_SIZE = 8, FOOT_SIZE = 9 };

int seek_entry_put(uint32_t frame_size, uint32_t raw_size, struct buffer *out)
{
    int rc = buffer_reserve(out, SEEK_ENTRY_SIZE);
    if (rc < 0)
        return rc;
    store_le32(out->data + out->size, frame_size);
    store_le32(out->data + out->size + 4, raw_size);
    out->size += SEEK_ENTRY_SIZE;
    return 0;
}

int seek_table_put(const struct buffer *entries, struct buffer *out)
{
    size_t frames = entries->size / SEEK_ENTRY_SIZE;
    if (frames > SEEK_FRAMES_MOST)
        return -EFBIG;
    int rc = buffer_reserve(out, HEAD_SIZE + entries->size + FOOT_SIZE);
    if (rc < 0)
        return rc;
    uint8_t *at = out->data + out->size;
    store_le32(at, SKIPPABLE_MAGIC);
    store_le32(at + 4, (uint32_t)(entries->size + FOOT_SIZE));
    at += HEAD_SIZE;
    if (entries->size > 0)
        memcpy(at, entries->data, entries->size);
    at += entries->size;
    store_le32(at, (uint32_t)frames);
    at[4] = 0;
    store_le32(at + 5, SEEKABLE_MAGIC);
    out->size += HEAD_SIZE + entries->size + FOOT_SIZE;
    return 0;
}
