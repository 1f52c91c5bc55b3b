/* A zstd of another version, which makes other bytes of files, for LD_PRELOAD: what an upgrade of the
 * library is for a program that is linked with it. */
#include <dlfcn.h>
#include <stddef.h>

enum { LEVEL_PARAMETER = 100, OTHER_LEVEL = 9 };

const char *ZSTD_versionString(void);
size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value);

const char *ZSTD_versionString(void) { return "9.9.9"; }

size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)
{
    size_t (*set)(void *, int, int) =
        (size_t(*)(void *, int, int))dlsym(RTLD_NEXT, "ZSTD_CCtx_setParameter");
    return set(context, parameter, parameter == LEVEL_PARAMETER ? OTHER_LEVEL : value);
}
