/* The reference for the other levels of instructions. */
#include "index/code_kernels.h"

#include <math.h>

static void dot8(const struct field *field, const struct probe *probe, const uint32_t *ids,
                 uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]);
        int32_t dot = 0;
        for (uint32_t d = 0; d < field->space.dims; d++)
            dot += look[d] * probe->dense.codes[d];
        out[i] = finish_dot(field, probe, tail_of(field, look), (float)dot);
    }
}

static void dot4(const struct field *field, const struct probe *probe, const uint32_t *ids,
                 uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]);
        int32_t dot = 0;
        for (uint32_t d = 0; d < field->tail / NIBBLE_BYTES * NIBBLES; d += NIBBLES)
            for (uint32_t j = 0; j < NIBBLE_BYTES; j++) {
                uint8_t both = look[d / 2 + j];
                dot += (both & 15) * probe->dense.codes[d + j];
                dot += (both >> 4) * probe->dense.codes[d + NIBBLE_BYTES + j];
            }
        out[i] = finish_dot(field, probe, tail_of(field, look), (float)dot);
    }
}

static void sad8(const struct field *field, const struct probe *probe, const uint32_t *ids,
                 uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]);
        int32_t sum = 0;
        for (uint32_t d = 0; d < field->space.dims; d++) {
            int difference = look[d] - 128 - probe->dense.codes[d];
            sum += difference < 0 ? -difference : difference;
        }
        out[i] = field->step * (float)sum;
    }
}

static void fine8(const struct field *field, const struct probe *probe, const uint32_t *ids,
                  uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]), *fine = fine_of(field, ids[i]);
        float dot = 0;
        for (uint32_t d = 0; d < field->space.dims; d++)
            dot += probe->dense.floats[d] * ((float)look[d] + (float)fine[d] / 256);
        out[i] = finish_fine(probe, tail_of(field, look), dot);
    }
}

static void fine4(const struct field *field, const struct probe *probe, const uint32_t *ids,
                  uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]), *fine = fine_of(field, ids[i]);
        float dot = 0;
        for (uint32_t d = 0; d < field->tail / NIBBLE_BYTES * NIBBLES; d += NIBBLES)
            for (uint32_t j = 0; j < NIBBLE_BYTES; j++) {
                uint8_t high = look[d / 2 + j], low = fine[d / 2 + j];
                dot += probe->dense.floats[d + j] * (float)((high & 15) * 16 + (low & 15));
                dot +=
                    probe->dense.floats[d + NIBBLE_BYTES + j] * (float)((high & 0xf0) + (low >> 4));
            }
        out[i] = finish_fine(probe, tail_of(field, look), dot);
    }
}

static void fine_l1(const struct field *field, const struct probe *probe, const uint32_t *ids,
                    uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]), *fine = fine_of(field, ids[i]);
        float sum = 0;
        for (uint32_t d = 0; d < field->space.dims; d++) {
            float code = (float)look[d] + (float)fine[d] / 256 - CODE_CENTRE;
            sum += fabsf(probe->dense.floats[d] - field->step * code);
        }
        out[i] = sum;
    }
}

/* Stands behind the bits, which are filled up with 0 to whole words. */
static uint32_t bits_set(const struct field *field, const uint8_t *record)
{
    uint32_t n;
    __builtin_memcpy(&n, record + field->tail, sizeof n);
    return n;
}

static void hamming(const struct field *field, const struct probe *probe, const uint32_t *ids,
                    uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]);
        uint32_t count = 0;
        for (uint32_t b = 0; b < field->tail; b += 8) {
            uint64_t x, y;
            __builtin_memcpy(&x, look + b, 8);
            __builtin_memcpy(&y, probe->bits.record + b, 8);
            count += (uint32_t)__builtin_popcountll(x ^ y);
        }
        out[i] = (float)count;
    }
}

static void jaccard(const struct field *field, const struct probe *probe, const uint32_t *ids,
                    uint32_t n, float *out)
{
    uint32_t own = bits_set(field, probe->bits.record);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]);
        uint32_t both = 0;
        for (uint32_t b = 0; b < field->tail; b += 8) {
            uint64_t x, y;
            __builtin_memcpy(&x, look + b, 8);
            __builtin_memcpy(&y, probe->bits.record + b, 8);
            both += (uint32_t)__builtin_popcountll(x & y);
        }
        uint32_t either = own + bits_set(field, look) - both;
        out[i] = both == 0 ? 1 : 1 - (float)both / (float)either;
    }
}

const struct code_kernels code_kernels_scalar = {
    .dot8 = dot8,
    .dot4 = dot4,
    .sad8 = sad8,
    .fine8 = fine8,
    .fine4 = fine4,
    .fine_l1 = fine_l1,
    .hamming = hamming,
    .jaccard = jaccard,
};
