/* How large a value of pgvector's types, or of bit, can be. */
#ifndef CODEC_VECTOR_LIMITS_H
#define CODEC_VECTOR_LIMITS_H

enum {
    VECTOR_DIMS_MOST = 16000, /* vector and halfvec */
    SPARSEVEC_DIMS_MOST = 1000000000,
    SPARSEVEC_VALUES_MOST = 16000, /* that are not 0 */
    BITS_MOST = 83886080
};

#endif
