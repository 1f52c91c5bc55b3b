#include "index/pages.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

static size_t whole(size_t size)
{
    size_t unit = size >= HUGE_PAGE ? HUGE_PAGE : 4096;
    return (size + PAGES_SLACK + unit - 1) / unit * unit;
}

/* The memory begins at a huge page's start. What was mapped in front of it and behind is given
 * back. */
static void *map_huge(size_t size)
{
    uint8_t *at =
        mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    size_t front = (HUGE_PAGE - (uintptr_t)at % HUGE_PAGE) % HUGE_PAGE;
    if (front > 0)
        munmap(at, front);
    munmap(at + front + size, HUGE_PAGE - front);
    madvise(at + front, size, MADV_HUGEPAGE);
    return at + front;
}

void *pages_new(size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t n = whole(size);
    if (n >= HUGE_PAGE)
        return map_huge(n);
    void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at != MAP_FAILED ? at : NULL;
}

void pages_free(void *pages, size_t size)
{
    if (pages != NULL)
        munmap(pages, whole(size));
}

void pages_fetch(const void *bytes, size_t size)
{
    int advice = MADV_WILLNEED;
#ifdef MADV_POPULATE_READ
    advice = MADV_POPULATE_READ;
#endif
    (void)madvise((void *)(uintptr_t)bytes, size, advice);
}
