/* Levels of instructions beyond the compiler's own, and which of them is used. All levels make the
 * same bytes: text and its sizes, row groups, graphs and their files. Only sums of float32
 * (index/distance.h, the finer scores of index/code.h) differ in their last bits, since each level
 * adds them up in its own order.
 *
 * Threads: any. No errors: a level that this machine lacks is not chosen.
 */
#ifndef CODEC_ISA_H
#define CODEC_ISA_H

enum isa {
    ISA_SCALAR,
    ISA_AVX2,  /* with FMA, F16C, BMI1, BMI2, LZCNT, POPCNT: Haswell, Zen and later */
    ISA_AVX512 /* F, BW, CD, DQ, VL, VBMI, VBMI2, VNNI, VPOPCNTDQ: Ice Lake, Zen 4 and later */
};

/* The highest level that the processor has, up to the one that the environment variable PGVECFS_ISA
 * names (scalar, avx2, avx512; another word is ignored). The variable is read once. */
enum isa isa_level(void);

/* For tests: from here on the level is the highest that the processor has, up to this. Returns
 * it. */
enum isa isa_force(enum isa level);

/* For tests and benchmarks: "scalar", "avx2", "avx512". */
const char *isa_name(enum isa level);

#endif
