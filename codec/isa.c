#include "codec/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"scalar", "avx2", "avx512"};

static atomic_int chosen = -1;

#if defined(__x86_64__)
/* Older compilers know no name for it. */
static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
           __builtin_cpu_supports("fma") && has_f16c();
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("avx512vpopcntdq");
}
#endif

/* The best that the processor has. */
static enum isa highest(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return has_avx512() ? ISA_AVX512 : has_avx2() ? ISA_AVX2 : ISA_SCALAR;
#else
    return ISA_SCALAR;
#endif
}

enum isa isa_force(enum isa level)
{
    enum isa most = highest();
    level = level < most ? level : most;
    atomic_store_explicit(&chosen, (int)level, memory_order_relaxed);
    return level;
}

enum isa isa_level(void)
{
    int level = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (level >= 0)
        return (enum isa)level;
    enum isa wanted = ISA_AVX512;
    const char *name = getenv("PGVECFS_ISA");
    for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            wanted = (enum isa)i;
    return isa_force(wanted);
}

const char *isa_name(enum isa level) { return names[level]; }
