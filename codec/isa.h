/* Which instructions beyond the compiler's own are used. Whatever is chosen, bytes are the same:
 * text and its sizes, row groups, graphs and their files. Only sums of float32 (index/distance.h,
 * the finer scores of index/code.h) differ in their last bits: they are added up in another order.
 *
 * Threads: any. No errors: what this machine lacks is not chosen.
 */
#ifndef CODEC_ISA_H
#define CODEC_ISA_H

enum isa {
    ISA_SCALAR,
    ISA_AVX2,  /* with BMI1, BMI2, LZCNT, POPCNT */
    ISA_AVX512 /* F, BW, CD, DQ, VL, VBMI, VBMI2, VPOPCNTDQ: Ice Lake, Zen 4 and later */
};

/* The best that the processor has; or the best that it has up to what the environment variable
 * PGVECFS_ISA names (scalar, avx2, avx512; another word is ignored), which is read once. */
enum isa isa_level(void);

/* From here on the best that the processor has up to this; for tests. Returns it. */
enum isa isa_force(enum isa level);

/* "scalar", "avx2", "avx512" */
const char *isa_name(enum isa level);

#endif
