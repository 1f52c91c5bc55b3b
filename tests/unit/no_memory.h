/* Every allocation fails once: the n-th of this thread's in what is under test, for n = 1, 2, … until
 * all goes well. Each time the answer is -ENOMEM, and nothing is left behind. The Makefile links such
 * a test with --wrap for the functions below ($(NO_MEMORY)); what libraries allocate themselves does
 * not fail.
 */
#ifndef NO_MEMORY_H
#define NO_MEMORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

static _Thread_local long no_memory_at; /* 0: nothing fails */
static _Thread_local long blocks;       /* allocated, and not freed yet */

static inline bool no_memory(void) { return no_memory_at > 0 && --no_memory_at == 0; }

static inline void *no_memory_count(void *block)
{
    blocks += block != NULL;
    return block;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_reallocarray(void *block, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_reallocarray(void *block, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap_free(void *block);

void *__wrap_malloc(size_t size)
{
    return no_memory() ? NULL : no_memory_count(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory() ? NULL : no_memory_count(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (no_memory())
        return NULL;
    return block == NULL ? no_memory_count(__real_malloc(size)) : __real_realloc(block, size);
}

void *__wrap_reallocarray(void *block, size_t count, size_t size)
{
    if (no_memory())
        return NULL;
    return block == NULL ? no_memory_count(__real_calloc(count, size))
                         : __real_reallocarray(block, count, size);
}

char *__wrap_strdup(const char *text)
{
    return no_memory() ? NULL : no_memory_count(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t size)
{
    return no_memory() ? NULL : no_memory_count(__real_strndup(text, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return no_memory() ? NULL : no_memory_count(__real_aligned_alloc(alignment, size));
}

int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list arguments;
    if (no_memory())
        return -1;
    va_start(arguments, format);
    int size = vasprintf(out, format, arguments);
    va_end(arguments);
    blocks += size >= 0;
    return size;
}

void __wrap_free(void *block)
{
    blocks -= block != NULL;
    __real_free(block);
}

/* Nothing fails until no_memory_again: for what an attempt has to prepare. */
static inline long no_memory_not_now(void)
{
    long at = no_memory_at;
    no_memory_at = 0;
    return at;
}

static inline void no_memory_again(long at) { no_memory_at = at; }

/* Calls `attempt` until no allocation fails in it. `also`: another errno that stands for it. */
static inline void no_memory_each(int (*attempt)(void *context), void *context, int also)
{
    for (long n = 1;; n++) {
        assert_true(n < 100000);
        long before = blocks;
        no_memory_at = n;
        int rc = attempt(context);
        bool failed = no_memory_at == 0;
        no_memory_at = 0;
        assert_int_equal(blocks, before);
        if (!failed) {
            assert_int_equal(rc, 0);
            assert_true(n > 1); /* it did allocate */
            return;
        }
        if (rc != -ENOMEM && rc != also)
            fail_msg("allocation %ld failed: %d", n, rc);
    }
}

#endif
