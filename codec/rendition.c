#include "codec/rendition.h"

#include <errno.h>
#include <stdlib.h>

int columns_new(const int *numbers, int count, struct columns **out)
{
    size_t size = (size_t)count * sizeof *numbers;
    struct columns *columns = malloc(sizeof *columns + size);
    if (columns == NULL)
        return -ENOMEM;
    columns->refs = 1;
    columns->count = count;
    if (count > 0)
        memcpy(columns->numbers, numbers, size);
    *out = columns;
    return 0;
}

struct columns *columns_ref(struct columns *columns)
{
    if (columns != NULL)
        atomic_fetch_add(&columns->refs, 1);
    return columns;
}

void columns_unref(struct columns *columns)
{
    if (columns != NULL && atomic_fetch_sub(&columns->refs, 1) == 1)
        free(columns);
}

static bool columns_same(const struct columns *a, const struct columns *b)
{
    if (a == b || a == NULL || b == NULL)
        return a == b;
    return a->count == b->count &&
           memcmp(a->numbers, b->numbers, (size_t)a->count * sizeof *a->numbers) == 0;
}

bool rendition_same(const struct rendition *a, const struct rendition *b)
{
    return a->format == b->format && columns_same(a->columns, b->columns);
}

uint64_t rendition_hash(const struct rendition *rendition)
{
    const struct columns *columns = rendition->columns;
    uint64_t number = rendition->format->number;
    if (columns == NULL)
        return number;
    uint64_t parts[] = {
        number, hash64(columns->numbers, (size_t)columns->count * sizeof *columns->numbers)};
    return hash64(parts, sizeof parts);
}
