#include "codec/compress.h"

#include <errno.h>
#include <zstd.h>

/* Level 1, about 500 MB/s a core: a fetch must not wait for its compression. */
enum { LEVEL = 1 };

int compress(const void *raw, size_t size, struct buffer *out)
{
    size_t bound = ZSTD_compressBound(size);
    int rc = buffer_reserve(out, bound);
    if (rc < 0)
        return rc;
    size_t n = ZSTD_compress(out->data + out->size, bound, raw, size, LEVEL);
    if (ZSTD_isError(n))
        return -ENOMEM; /* with room for the bound, nothing else fails */
    out->size += n;
    return 0;
}

int decompress(const void *frame, size_t frame_size, void *raw, size_t size)
{
    size_t n = ZSTD_decompress(raw, size, frame, frame_size);
    return ZSTD_isError(n) || n != size ? -EBADMSG : 0;
}
