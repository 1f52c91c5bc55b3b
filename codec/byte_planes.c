/* 128 bytes at a time, of values of 2, 4 or 8 bytes. To interleave the first half of 128 bytes with
 * the second moves the topmost bit of a byte's place to the bottom. In planes, a place is the bits
 * of the plane, then those of the value; in values it is the other way round. So each is reached
 * from the other by interleaving several times.
 *
 * Values of 9 to 16 bytes are done as two of 8 that overlap. */
#include "codec/byte_planes.h"

#include <string.h>

static void split_slowly(const uint8_t *values, size_t from, size_t count, size_t size,
                         uint8_t *planes)
{
    for (size_t plane = 0; plane < size; plane++)
        for (size_t i = from; i < count; i++)
            planes[plane * count + i] = values[i * size + plane];
}

static void join_slowly(const uint8_t *planes, size_t from, size_t count, size_t size,
                        uint8_t *values)
{
    for (size_t plane = 0; plane < size; plane++)
        for (size_t i = from; i < count; i++)
            values[i * size + plane] = planes[plane * count + i];
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLE 1
#endif
#endif

#ifdef HAS_SHUFFLE

#define INLINE __attribute__((always_inline)) static inline

enum { BLOCK = 128 };

typedef uint8_t sixteen __attribute__((vector_size(16)));

struct block {
    sixteen part[8];
};

INLINE sixteen low(sixteen a, sixteen b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

INLINE sixteen high(sixteen a, sixteen b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                   31);
}

INLINE struct block interleave(struct block from, int times)
{
    sixteen a = from.part[0], b = from.part[1], c = from.part[2], d = from.part[3];
    sixteen e = from.part[4], f = from.part[5], g = from.part[6], h = from.part[7];
    for (int i = 0; i < times; i++) {
        sixteen a1 = low(a, e), b1 = high(a, e), c1 = low(b, f), d1 = high(b, f);
        sixteen e1 = low(c, g), f1 = high(c, g), g1 = low(d, h), h1 = high(d, h);
        a = a1, b = b1, c = c1, d = d1, e = e1, f = f1, g = g1, h = h1;
    }
    return (struct block){{a, b, c, d, e, f, g, h}};
}

INLINE int log_2(size_t width) { return width == 8 ? 3 : width == 4 ? 2 : 1; }

/* Planes [first, first + width). Returns how many values were done. */
INLINE size_t split_some(const uint8_t *values, size_t count, size_t size, size_t first,
                         size_t width, uint8_t *planes)
{
    size_t step = BLOCK / width, done = 0;
    for (; count - done >= step; done += step) {
        struct block block;
        const uint8_t *from = values + done * size + first;
        if (size == width)
            memcpy(&block, from, sizeof block);
        else
            for (size_t i = 0; i < step; i++)
                memcpy((uint8_t *)&block + i * width, from + i * size, width);
        block = interleave(block, 7 - log_2(width));
        for (size_t i = 0; i < width; i++)
            memcpy(planes + (first + i) * count + done, (uint8_t *)&block + i * step, step);
    }
    return done;
}

INLINE size_t join_some(const uint8_t *planes, size_t count, size_t size, size_t first,
                        size_t width, uint8_t *values)
{
    size_t step = BLOCK / width, done = 0;
    for (; count - done >= step; done += step) {
        struct block block;
        uint8_t *to = values + done * size + first;
        for (size_t i = 0; i < width; i++)
            memcpy((uint8_t *)&block + i * step, planes + (first + i) * count + done, step);
        block = interleave(block, log_2(width));
        if (size == width)
            memcpy(to, &block, sizeof block);
        else
            for (size_t i = 0; i < step; i++)
                memcpy(to + i * size, (uint8_t *)&block + i * width, width);
    }
    return done;
}

static size_t split_blocks(const uint8_t *values, size_t count, size_t size, uint8_t *planes)
{
    switch (size) {
    case 2:
        return split_some(values, count, 2, 0, 2, planes);
    case 4:
        return split_some(values, count, 4, 0, 4, planes);
    case 8:
        return split_some(values, count, 8, 0, 8, planes);
    default:
        if (size < 8 || size > 16)
            return 0;
        (void)split_some(values, count, size, 0, 8, planes);
        return split_some(values, count, size, size - 8, 8, planes);
    }
}

static size_t join_blocks(const uint8_t *planes, size_t count, size_t size, uint8_t *values)
{
    switch (size) {
    case 2:
        return join_some(planes, count, 2, 0, 2, values);
    case 4:
        return join_some(planes, count, 4, 0, 4, values);
    case 8:
        return join_some(planes, count, 8, 0, 8, values);
    default:
        if (size < 8 || size > 16)
            return 0;
        (void)join_some(planes, count, size, 0, 8, values);
        return join_some(planes, count, size, size - 8, 8, values);
    }
}

#else

static size_t split_blocks(const uint8_t *values, size_t count, size_t size, uint8_t *planes)
{
    (void)values, (void)count, (void)size, (void)planes;
    return 0;
}

static size_t join_blocks(const uint8_t *planes, size_t count, size_t size, uint8_t *values)
{
    (void)values, (void)count, (void)size, (void)planes;
    return 0;
}

#endif

void byte_planes_split(const uint8_t *values, size_t count, size_t size, uint8_t *planes)
{
    split_slowly(values, split_blocks(values, count, size, planes), count, size, planes);
}

void byte_planes_join(const uint8_t *planes, size_t count, size_t size, uint8_t *values)
{
    join_slowly(planes, join_blocks(planes, count, size, values), count, size, values);
}
