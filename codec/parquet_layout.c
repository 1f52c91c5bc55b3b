#include "codec/parquet_layout.h"

enum { PAGE = 4096, FRONT = 4, ZEROS_PART = 32 };

uint64_t parquet_layout_next(uint64_t end)
{
    return (end + FRONT + PAGE - 1) / PAGE * PAGE - FRONT;
}

uint64_t parquet_layout(const uint64_t *sizes, int count, uint64_t *offsets)
{
    uint64_t end = 0, sum = 0;
    for (int i = 0; i < count; i++) {
        offsets[i] = i > 0 ? parquet_layout_next(end) : 0;
        end = offsets[i] + sizes[i];
        sum += sizes[i];
    }
    uint64_t size = parquet_layout_next(end) + FRONT;
    if (size - sum <= sum / ZEROS_PART)
        return size;
    for (int i = 0; i < count; i++)
        offsets[i] = i > 0 ? offsets[i - 1] + sizes[i - 1] : 0;
    return sum;
}
