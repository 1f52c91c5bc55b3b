/* The short forms in which an index keeps vectors: a field of records, one for each slot.
 *
 * Dense vectors (l2, ip, cosine) are centred on the mean of all (not for ip), under cosine brought
 * to length 1 before, and written as x = scale * (c - 128), c a byte, scale = greatest |x| / 127,
 * each vector its own (locally adaptive, as LVQ, arXiv 2304.04759, with no bias). What is looked at
 * on the way, `look`, and what orders the found, `fine`, share the bits:
 *
 *   bits 8   look: c × dims | tail       fine: the next 8 bits of each (x / scale + 128 - c) × dims
 *   bits 4   look: the high halves of c, fine: the low halves, two to a byte: of dims 128 b to
 *            128 b + 127 byte j has 128 b + j in its low half and 128 b + 64 + j in the high one
 *   tail     f32 squared length of x | f32 scale | i32 sum of c - 128, at a multiple of 4
 *
 * Under l1 all have one scale: bits 8 without a tail. Vectors of up to FIELD_SHORT dimensions,
 * whose neighbours are much nearer than they are long, have a scale each and bits 8 under every
 * metric; both parts are looked at on the way. Bits are kept as they are, with a u32 of how many
 * are set behind them; nothing is finer. Of sparse vectors a record says where the vector lies in
 * the arena: u64 offset | u32 count | f32 squared length; there: u32 dimensions, ascending, and f32
 * values. All little-endian. Records stand at multiples of 64 bytes where they are that long.
 *
 * Scores order as distances do; they leave out what is the same for all slots (field_distance adds
 * it). Between rows, `ip` is replaced by the distance of the vectors with one more dimension that
 * makes all equally long (Bachrach et al., RecSys 2014), since a graph wants a distance that is
 * symmetric.
 *
 * Which instructions are used makes no difference to what is kept, and to scores only in the last
 * bits; of `look` of dense vectors and bits, in none.
 */
#ifndef INDEX_CODE_H
#define INDEX_CODE_H

#include "index/span.h"

struct probe;
struct field;

enum { FIELD_SHORT = 4 };
static inline bool field_short(const struct space *space)
{
    return space->dims <= FIELD_SHORT &&
           (space->element == ELEMENT_FLOAT32 || space->element == ELEMENT_FLOAT16);
}

/* Scores of the slots ids[0..n) into out. */
typedef void score_slots(const struct field *field, const struct probe *probe, const uint32_t *ids,
                         uint32_t n, float *out);

struct field {
    struct space space;
    uint32_t bits;      /* 4 or 8 of dense vectors; 1 of bits; 32 of sparse ones */
    uint32_t tail;      /* where in a record it begins */
    size_t look_stride; /* bytes from one record to the next */
    size_t fine_stride; /* 0: nothing is finer */
    uint64_t slots;     /* there is room for so many */
    uint8_t *look, *fine;
    uint8_t *arena; /* of sparse vectors */
    uint64_t arena_size, arena_room;
    float *mean;   /* dims of them */
    float step;    /* of l1 */
    float radius2; /* of ip: a squared length that hardly any is beyond */
    score_slots *score, *refine;
};

/* What one vector is compared with a field by. Room is made once, and used for many vectors. */
struct probe {
    int8_t *codes;  /* c - 128 as the records have it, filled up with 0 */
    float *floats;  /* x itself, centred, filled up with 0 */
    uint8_t *bits;  /* of bits: as a record */
    float *lookup;  /* of sparse: by dimension; NULL: too many of those */
    uint32_t *dims; /* of sparse: those that are not 0, and their values */
    float *values;
    uint32_t count, room;
    float norm2;         /* squared length of x; of sparse under l1 the sum of |x| */
    float offset;        /* score + offset: of a slot, the distance that is the same both ways */
    float a, b, bias, c; /* score = a n + scale b (codes - bias) - c sqrt(radius2 - n) */
    float b_fine, bias_fine; /* the same for x itself in place of codes */
};

/* What is needed to know of all vectors before the first is put: looks at a sample of the rows. */
MUST_CHECK int field_init(const struct space *space, uint32_t bits, const struct span *spans,
                          size_t span_count, struct field *out);
void field_clear(struct field *field);

/* Sets what follows from the space and the bits: strides, and functions for the instructions at
 * hand. */
void field_shape(struct field *field);

/* Room for so many slots in all; what is there stays. -ENOMEM. */
MUST_CHECK int field_reserve(struct field *field, uint64_t slots);

/* A copy with room for `slots` and, in the arena, for as many bytes. */
MUST_CHECK int field_copy(const struct field *from, uint64_t slots, uint64_t arena,
                          struct field *out);

/* The number of bytes of the arena that the value will take. */
size_t field_arena_of(const struct field *field, const uint8_t *value, size_t size);

/* Writes the record; of a sparse vector at `arena` (field_arena_of bytes). 1: it cannot be found at
 * all (a zero vector under cosine): nothing is written. -EBADMSG: not a value of the space.
 * Different slots may be put at once. `scratch`: dims floats. */
MUST_CHECK int field_put(struct field *field, uint32_t slot, uint64_t arena, const uint8_t *value,
                         size_t size, float *scratch);

/* Whether both slots hold the same; and a hash of what a slot holds. */
bool field_equal(const struct field *field, uint32_t a, uint32_t b);
uint64_t field_hash(const struct field *field, uint32_t slot);

/* A field of 8 bits (without anything finer) becomes one of 4, and back. Not under l1, not of short
 * vectors. */
bool field_may_split(const struct field *field);
MUST_CHECK int field_split(struct field *field, uint32_t slots);
MUST_CHECK int field_join(struct field *field, uint32_t slots);

MUST_CHECK int probe_init(const struct field *field, struct probe *out);
void probe_clear(const struct field *field, struct probe *probe);

/* A vector from outside; as field_put. */
MUST_CHECK int probe_value(const struct field *field, struct probe *probe, const uint8_t *value,
                           size_t size);
/* What a slot holds, for finding its neighbours (symmetric). */
MUST_CHECK int probe_slot(const struct field *field, struct probe *probe, uint32_t slot);

/* The metric's distance for a score. */
float field_distance(const struct field *field, const struct probe *probe, float score);

#endif
