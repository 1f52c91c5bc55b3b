/* The short forms in which an index keeps vectors: a field of records, one for each slot.
 *
 * A record has two parts. A search compares `look` on its way; `fine` then orders what was found.
 * The space decides of which kind a field is (code_kind.h has what a kind does):
 *
 *   kind     vectors              look                                          fine
 *   dense    vector, halfvec      c of each dimension | tail                    8 more bits each
 *   short    the same, of up to   the same; a search compares both parts        8 more bits each
 *            FIELD_SHORT dims
 *   sparse   sparsevec            u64 offset | u32 count | f32 squared length   -
 *   bits     bit                  the bits | u32 how many are set               -
 *
 *   tail     f32 squared length of x | f32 scale | i32 sum of (c - 128), at a multiple of 4
 *   arena    at a sparse vector's offset: u32 dimensions, ascending | f32 values
 *
 * All numbers are little-endian. Records of more than 48 bytes stand at multiples of 64.
 *
 * x is the vector, under cosine brought to length 1, then centred on the mean of all (not under
 * ip). Each of its numbers is scale * (c - 128), c a byte, scale = greatest |x| / 127: each vector
 * has its own (locally adaptive quantization, as in LVQ, arXiv 2304.04759, without its bias). The
 * 8 more bits are (x / scale + 128.5 - c) * 256, rounded down. Under l1 all dense vectors have one
 * scale, and nothing reads their tails; short ones, which are much longer than their distances,
 * have a scale each under every metric.
 *
 * A dense field of 4 bits keeps the high halves of c in look, the low halves in fine, two to a
 * byte: of the dimensions 128 b to 128 b + 127, byte j has 128 b + j in its low half and
 * 128 b + 64 + j in its high half.
 *
 * Scores order as distances do; they leave out what is the same for all slots (field_distance adds
 * it). Between two slots under ip the score is the distance after one more dimension, the lift, has
 * made all vectors equally long (Bachrach et al., RecSys 2014): a graph needs a symmetric distance.
 *
 * The level of instructions changes no record, and no score of look of dense vectors and bits;
 * other scores change in their last bits only.
 */
#ifndef INDEX_CODE_H
#define INDEX_CODE_H

#include "index/span.h"

struct probe;
struct field;
struct field_kind;

/* Dimensions of a short vector, at most. */
enum { FIELD_SHORT = 4 };

/* Scores of the slots ids[0..n) into out. */
typedef void score_slots(const struct field *field, const struct probe *probe, const uint32_t *ids,
                         uint32_t n, float *out);

struct field {
    struct space space;
    const struct field_kind *kind;
    uint32_t bits;      /* of a number in look: dense 8 or 4, short 8, sparse 32, bits 1 */
    uint32_t tail;      /* where in a record the tail begins */
    size_t look_stride; /* bytes from one record to the next */
    size_t fine_stride; /* 0: there is no fine */
    uint64_t slots;     /* there is room for so many */
    uint8_t *look, *fine, *arena;
    uint64_t arena_size, arena_room;
    float *mean;                 /* of each dimension; NULL: not centred */
    float step;                  /* under l1: the scale of all */
    float radius2;               /* under ip: a squared length that hardly any vector exceeds */
    score_slots *score, *refine; /* by look, by both parts; refine NULL: score does all */
};

/* A vector that dense records are compared with. `dot` is the sum of products with codes, or, to
 * refine, with floats; squared length and scale are those of the record's tail:
 *
 *   score     norm_weight * length² + scale * dot_weight * (dot - dot_bias) - lift_weight * lift
 *   refined   norm_weight * length² + scale * fine_weight * (dot - fine_bias)
 */
struct dense_probe {
    int8_t *codes; /* c - 128 as the records have it, 0 behind the last */
    float *floats; /* x itself, 0 behind the last */
    float norm_weight, dot_weight, dot_bias, lift_weight;
    float fine_weight, fine_bias;
};

struct short_probe {
    float x[FIELD_SHORT];
    float lift;
    bool is_slot; /* it has a lift, as the slots have */
};

/* score = norm_weight * length² + dot_weight * dot - lift_weight * lift; l1: see code_sparse.c */
struct sparse_probe {
    float *lookup;  /* a number for each dimension; NULL: there are too many dimensions */
    uint32_t *dims; /* of the numbers that are not 0, ascending */
    float *values;
    uint32_t count, room;
    float norm_weight, dot_weight, lift_weight;
};

struct bits_probe {
    uint8_t *record;
};

/* A vector that the slots of a field are compared with. Its room is made once, and used for many
 * vectors. */
struct probe {
    union {
        struct dense_probe dense;
        struct short_probe few;
        struct sparse_probe sparse;
        struct bits_probe bits;
    };
    float distance_offset; /* of a vector from outside: field_distance adds it to scores */
    float link_offset;     /* of a slot: score + link_offset is the same in both directions */
};

/* The field of this space, without slots yet. Looks at a sample of the rows for what all records
 * share: mean, step, radius. -EBADMSG: a row is no value of the space; -ENOMEM. */
MUST_CHECK int field_init(const struct space *space, const struct span *spans, size_t span_count,
                          struct field *out);
void field_clear(struct field *field);

/* Sets what follows from the space and the bits: kind, strides, and the functions for the
 * instructions at hand. */
void field_shape(struct field *field);

/* Whether a field of the space can have so many bits. */
bool field_bits_fit(const struct space *space, uint32_t bits);
/* Bytes of the mean; 0: the field is not centred. */
size_t field_mean_size(const struct field *field);
/* Whether the vectors lie in an arena. */
bool field_in_arena(const struct field *field);
/* How many floats field_put needs as scratch. */
size_t field_scratch(const struct space *space);

/* Room for so many slots in all; what is there stays. -ENOMEM. */
MUST_CHECK int field_reserve(struct field *field, uint64_t slots);

/* A copy with room for `slots` and, in the arena, for as many bytes. */
MUST_CHECK int field_copy(const struct field *from, uint64_t slots, uint64_t arena,
                          struct field *out);

/* The number of bytes of the arena that the value will take. */
size_t field_arena_of(const struct field *field, const uint8_t *value, size_t size);

/* Whether what the records of the first `slots` slots say of the arena is true. For fields that
 * somebody else may have written. */
bool field_arena_holds(const struct field *field, uint32_t slots);

/* Writes the record; of a sparse vector at `arena` (field_arena_of bytes), too. 1: it cannot be
 * found at all (a zero vector under cosine), nothing is written. -EBADMSG: not a value of the
 * space. Different slots may be put at once. */
MUST_CHECK int field_put(struct field *field, uint32_t slot, uint64_t arena, const uint8_t *value,
                         size_t size, float *scratch);

/* Whether both slots hold the same; and a hash of what a slot holds. */
bool field_equal(const struct field *field, uint32_t a, uint32_t b);
uint64_t field_hash(const struct field *field, uint32_t slot);

/* A dense field of 8 bits and without fine becomes one of 4 bits, and back. Not under l1. */
bool field_may_split(const struct field *field);
MUST_CHECK int field_split(struct field *field, uint32_t slots);
MUST_CHECK int field_join(struct field *field, uint32_t slots);

MUST_CHECK int probe_init(const struct field *field, struct probe *out);
void probe_clear(const struct field *field, struct probe *probe);

/* A vector from outside; returns as field_put. */
MUST_CHECK int probe_value(const struct field *field, struct probe *probe, const uint8_t *value,
                           size_t size);
/* What a slot holds, to find its neighbours: the scores are symmetric. */
MUST_CHECK int probe_slot(const struct field *field, struct probe *probe, uint32_t slot);

/* The metric's distance that belongs to a score. */
float field_distance(const struct field *field, const struct probe *probe, float score);

#endif
