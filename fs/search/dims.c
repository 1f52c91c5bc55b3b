#include "fs/search/dims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint32_t dims_declared(const struct column *column)
{
    if (strcmp(column->type_name, "bit") == 0)
        return 1;
    const char *open = strrchr(column->type_name, '(');
    if (open == NULL || strcmp(column->type->name, "varbit") == 0)
        return 0;
    char *end;
    unsigned long dims = strtoul(open + 1, &end, 10);
    return *end == ')' && dims <= UINT32_MAX ? (uint32_t)dims : 0;
}

int dims_stored(const struct span *spans, size_t count, enum element element, uint32_t *out)
{
    for (size_t i = 0; i < count; i++)
        for (uint32_t row = 0; row < spans[i].rows; row++) {
            size_t size;
            const uint8_t *value = span_value(&spans[i], row, &size);
            if (size > 0)
                return value_dims(element, value, size, out) < 0 ? -EBADMSG : 0;
        }
    *out = 0;
    return 0;
}
