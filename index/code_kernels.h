/* How the scores of dense vectors and bits are computed, at each level of instructions (isa.h);
 * for index/code*.c alone. */
#ifndef INDEX_CODE_KERNELS_H
#define INDEX_CODE_KERNELS_H

#include "index/code.h"

struct code_kernels {
    score_slots *dot8, *dot4, *sad8;      /* of look: codes with codes */
    score_slots *fine8, *fine4, *fine_l1; /* of both parts, with floats */
    score_slots *hamming, *jaccard;
};

extern const struct code_kernels code_kernels_scalar;
#if defined(__x86_64__)
extern const struct code_kernels code_kernels_avx2;
extern const struct code_kernels code_kernels_avx512;
#endif

/* x / scale is c + fine / 256 - CODE_CENTRE, on average: fine is rounded down. */
#define CODE_CENTRE (128 + 0.5F - 0.5F / 256)

/* Dimensions of a block of 4 bits, and its bytes. */
enum { NIBBLES = 128, NIBBLE_BYTES = 64 };

struct code_tail {
    float norm2, scale; /* squared length of x */
    int32_t sum;        /* of c - 128 */
};

static inline const uint8_t *look_of(const struct field *field, uint32_t slot)
{
    return field->look + field->look_stride * slot;
}

static inline const uint8_t *fine_of(const struct field *field, uint32_t slot)
{
    return field->fine + field->fine_stride * slot;
}

static inline struct code_tail tail_of(const struct field *field, const uint8_t *look)
{
    struct code_tail tail;
    __builtin_memcpy(&tail, look + field->tail, sizeof tail);
    return tail;
}

/* The number in the dimension that makes all vectors equally long (code.h). */
static inline float lift_of(const struct field *field, float norm2)
{
    float rest = field->radius2 - norm2;
    return rest > 0 ? __builtin_sqrtf(rest) : 0;
}

/* The score that follows from the sum of products (struct dense_probe). All levels share it, so
 * that the order of operations is one. */
static inline float finish_dot(const struct field *field, const struct probe *probe,
                               struct code_tail tail, float dot)
{
    const struct dense_probe *dense = &probe->dense;
    float score = dense->norm_weight * tail.norm2 +
                  tail.scale * (dense->dot_weight * (dot - dense->dot_bias));
    return dense->lift_weight != 0 ? score - dense->lift_weight * lift_of(field, tail.norm2)
                                   : score;
}

static inline float finish_fine(const struct probe *probe, struct code_tail tail, float dot)
{
    const struct dense_probe *dense = &probe->dense;
    return dense->norm_weight * tail.norm2 +
           tail.scale * (dense->fine_weight * (dot - dense->fine_bias));
}

#endif
