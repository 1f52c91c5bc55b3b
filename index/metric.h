/* What vectors are made of, and how their distance is measured: pgvector's types and operators.
 *
 *   l2       <->   square root of the sum of the squared differences
 *   ip       <#>   the inner product, negated
 *   cosine   <=>   1 - cosine of the angle; a zero vector has none
 *   l1       <+>   sum of the absolute differences
 *   hamming  <~>   number of differing bits
 *   jaccard  <%>   1 - bits in both / bits in either; 1 if no bit is in both, so also for two
 *                  empty sets
 *
 * Smaller is nearer, always. Pure.
 */
#ifndef INDEX_METRIC_H
#define INDEX_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum element {
    ELEMENT_FLOAT32, /* vector */
    ELEMENT_FLOAT16, /* halfvec */
    ELEMENT_SPARSE,  /* sparsevec: float32 at some of its dimensions */
    ELEMENT_BIT,     /* bit, bit varying */
    ELEMENT_COUNT
};

enum metric {
    METRIC_L2,
    METRIC_IP,
    METRIC_COSINE,
    METRIC_L1,
    METRIC_HAMMING,
    METRIC_JACCARD,
    METRIC_COUNT
};

/* What the vectors of a column are, and what compares them. */
struct space {
    enum element element;
    enum metric metric;
    uint32_t dims; /* 1 to 16,000 (bits: 2^24; sparse: 10^9) */
};

/* As in the table above. */
const char *metric_name(enum metric metric);
const char *metric_operator(enum metric metric);
/* The metric of this name of `size` bytes; -1: there is none. */
int metric_find(const char *name, size_t size);

/* Whether pgvector has the metric for this element: hamming and jaccard for bits, the other metrics
 * for the other elements. */
bool metric_fits(enum metric metric, enum element element);

/* The element of the type "vector", "halfvec", "sparsevec", "bit" or "varbit"; -1: of another
 * one. */
int element_find(const char *type);

#endif
