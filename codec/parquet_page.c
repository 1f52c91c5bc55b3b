#include "codec/parquet_page.h"

#include "codec/compress.h"
#include "codec/crc32.h"
#include "codec/thrift_compact.h"

#include <errno.h>

enum { DATA_PAGE = 0 }; /* PageType */

static int put_header(uint64_t values, size_t raw, const struct buffer *stored, struct buffer *out)
{
    struct thrift page;
    thrift_open(&page, out);
    thrift_i32(&page, 1, DATA_PAGE);
    thrift_i32(&page, 2, (int32_t)raw);
    thrift_i32(&page, 3, (int32_t)stored->size);
    thrift_i32(&page, 4, (int32_t)crc32_of(stored->data, stored->size));
    thrift_open_struct(&page, 5); /* DataPageHeader */
    thrift_i32(&page, 1, (int32_t)values);
    thrift_i32(&page, 2, PARQUET_PLAIN);
    thrift_i32(&page, 3, PARQUET_RLE); /* definition levels */
    thrift_i32(&page, 4, PARQUET_RLE); /* repetition levels */
    thrift_close_struct(&page);
    return thrift_close(&page);
}

static int put_stored(uint64_t values, size_t raw, const struct buffer *stored, struct buffer *out,
                      struct parquet_page_size *size)
{
    if (raw > INT32_MAX || stored->size > INT32_MAX || values > INT32_MAX)
        return -EFBIG;
    size_t before = out->size;
    int rc = put_header(values, raw, stored, out);
    size_t header = out->size - before;
    if (rc == 0)
        rc = buffer_append(out, stored->data, stored->size);
    if (rc == 0)
        *size = (struct parquet_page_size){header + stored->size, header + raw};
    return rc;
}

int parquet_page_put(const struct buffer *contents, uint64_t values, enum parquet_codec codec,
                     struct buffer *out, struct parquet_page_size *size)
{
    if (codec == PARQUET_UNCOMPRESSED)
        return put_stored(values, contents->size, contents, out, size);
    struct buffer frame = {0};
    int rc = zstd_frame(contents->data, contents->size, &frame);
    if (rc == 0)
        rc = put_stored(values, contents->size, &frame, out, size);
    buffer_clear(&frame);
    return rc;
}
