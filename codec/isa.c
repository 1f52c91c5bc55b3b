#include "codec/isa.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"scalar", "avx2", "avx512"};

static atomic_int chosen = -1;

static enum isa best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("popcnt"))
        return ISA_SCALAR;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vpopcntdq"))
        return ISA_AVX512;
    return ISA_AVX2;
#else
    return ISA_SCALAR;
#endif
}

enum isa isa_force(enum isa level)
{
    enum isa most = best();
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
