#include "codec/array.h"

#include <stdlib.h>

void *array_room(void *array, size_t count, size_t element_size)
{
    if (count > 0 && (count & (count - 1)) != 0)
        return array;
    return reallocarray(array, count == 0 ? 1 : 2 * count, element_size);
}
