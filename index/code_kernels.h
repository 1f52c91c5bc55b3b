/* How the scores of each kind of field are computed, at each level of instructions (code.h). */
#ifndef INDEX_CODE_KERNELS_H
#define INDEX_CODE_KERNELS_H

#include "index/code.h"

struct code_kernels {
    score_slots *dot8, *dot4, *sad8;      /* look: codes with codes */
    score_slots *fine8, *fine4, *fine_l1; /* fine: both parts with floats */
    score_slots *hamming, *jaccard;
};

extern const struct code_kernels code_kernels_scalar;
#if defined(__x86_64__)
extern const struct code_kernels code_kernels_avx2;
extern const struct code_kernels code_kernels_avx512; /* asks for VNNI, too */
#endif

extern score_slots sparse_score; /* all metrics, all levels */
extern score_slots short_score;  /* the same */

/* c is rounded down to bytes: what is added to make the two parts of 8 bits x again. */
#define CODE_CENTRE (128 + 0.5F - 0.5F / 256)

enum { NIBBLES = 128, NIBBLE_BYTES = 64 }; /* dimensions of a block of 4 bits, and its bytes */

struct code_tail {
    float norm2, scale;
    int32_t sum; /* of c - 128 */
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

/* One order of operations for all levels. */
static inline float finish_dot(const struct field *field, const struct probe *probe,
                               struct code_tail tail, float dot)
{
    float score = probe->a * tail.norm2 + tail.scale * (probe->b * (dot - probe->bias));
    if (probe->c != 0) {
        float rest = field->radius2 - tail.norm2;
        score -= probe->c * (rest > 0 ? __builtin_sqrtf(rest) : 0);
    }
    return score;
}

static inline float finish_fine(const struct probe *probe, struct code_tail tail, float dot)
{
    return probe->a * tail.norm2 + tail.scale * (probe->b_fine * (dot - probe->bias_fine));
}

/* Long records: the lines of the slots to come are fetched while this one is computed. */
static inline void fetch_lines(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i += 64)
        __builtin_prefetch(at + i);
}

#endif
