/* What a fuzz target has to show, so that none runs over inputs that it refuses at their first byte.
 *
 * Its inputs are of some kinds (a type, a table, an element, …). It makes whole ones of each kind
 * itself, of today's formats, and counts what it takes for what it says to be. The replay
 * (replay_main.c) fails if there is a kind of which nothing has been taken.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FUZZ_KINDS_MOST = 64 };

/* Inputs that were taken, by kind. */
extern unsigned long fuzz_taken[FUZZ_KINDS_MOST];

/* The name of a kind, in words; NULL: there are no more. */
const char *fuzz_kind(unsigned kind);

/* Calls put for inputs of all kinds. */
typedef void fuzz_put(const uint8_t *bytes, size_t size);
void fuzz_seeds(fuzz_put *put);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts some bytes behind a few that choose. */
static inline void fuzz_put_behind(fuzz_put *put, const uint8_t *choice, size_t n,
                                   const void *bytes, size_t size)
{
    uint8_t *all = malloc(n + size + 1);
    if (all == NULL)
        abort();
    memcpy(all, choice, n);
    if (size > 0)
        memcpy(all + n, bytes, size);
    put(all, n + size);
    free(all);
}

#endif
