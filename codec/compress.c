#include "codec/compress.h"

#include "codec/encoder.h"

#include <errno.h>
#include <pthread.h>
#include <zstd.h>

/* Level 1, about 500 MB/s a core: a fetch must not wait for its compression. */
enum { LEVEL = 1, LEVEL_OF_FILES = 3 };

int compress_block(const void *raw, size_t size, struct buffer *out)
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

int zstd_frame(const void *raw, size_t size, struct buffer *out)
{
    size_t bound = ZSTD_compressBound(size);
    int rc = buffer_reserve(out, bound);
    ZSTD_CCtx *context = rc == 0 ? ZSTD_createCCtx() : NULL;
    if (context == NULL)
        return -ENOMEM;
    size_t n = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL_OF_FILES);
    if (!ZSTD_isError(n))
        n = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    if (!ZSTD_isError(n))
        n = ZSTD_compress2(context, out->data + out->size, bound, raw, size);
    ZSTD_freeCCtx(context);
    if (ZSTD_isError(n))
        return -ENOMEM;
    out->size += n;
    return 0;
}

static char encoder[ENCODER_SIZE];

static void describe(void)
{
    encoder_describe("zstd", ZSTD_versionString(), LEVEL_OF_FILES, zstd_frame, encoder);
}

const char *zstd_encoder(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, describe);
    return encoder;
}
