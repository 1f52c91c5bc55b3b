/* Two values from a cache file that may hold anything: byte 0 is the element, byte 1 the metric,
 * bytes 2 and 3 the size of the first, which is the query; the rest is the second. On all levels of
 * instructions a value is refused exactly if value_dims refuses it or counts other dimensions. */
#include "codec/isa.h"
#include "index/distance.h"
#include "tests/unit/vectors.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Exactly its size, so that a read behind it is seen. */
static uint8_t *copy_of(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    must(copy != NULL);
    memcpy(copy, bytes, size);
    return copy;
}

static void compare(struct space space, const uint8_t *asked, size_t asked_size,
                    const uint8_t *value, size_t size)
{
    uint32_t dims = 0;
    bool good = value_dims(space.element, value, size, &dims) == 0 && dims == space.dims;
    for (int level = ISA_SCALAR; level <= (int)ISA_AVX512; level++) {
        isa_force((enum isa)level);
        struct query *query;
        int rc = query_new(&space, asked, asked_size, &query, NULL);
        must(rc == 0 || rc == -EINVAL);
        if (rc != 0)
            continue;
        double distance = 0;
        rc = query_distance(query, value, size, &distance);
        must(rc == (good || size == 0 ? 0 : -EBADMSG));
        must(size != 0 || isnan(distance));
        query_free(query);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || load_be16(data + 2) > size - 4)
        return 0;
    struct space space = {data[0] % ELEMENT_COUNT, data[1] % METRIC_COUNT, 0};
    size_t asked_size = load_be16(data + 2), rest = size - 4 - asked_size;
    uint8_t *asked = copy_of(data + 4, asked_size);
    uint8_t *value = copy_of(data + 4 + asked_size, rest);
    if (value_dims(space.element, asked, asked_size, &space.dims) == 0)
        compare(space, asked, asked_size, value, rest);
    free(asked);
    free(value);
    return 0;
}
