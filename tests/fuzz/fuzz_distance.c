/* Two values from a cache file that may hold anything: byte 0 is the element, byte 1 the metric,
 * bytes 2 and 3 the size of the first, which is the query; the rest is the second. On all levels of
 * instructions a value is refused exactly if value_dims refuses it or counts other dimensions. */
#include "codec/buffer.h"
#include "codec/isa.h"
#include "index/distance.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/vectors.h"

#include <errno.h>
#include <stdio.h>

unsigned long fuzz_taken[FUZZ_KINDS_MOST];

/* An element and a metric each. */
const char *fuzz_kind(unsigned kind)
{
    static const char *const elements[] = {"float32", "float16", "sparse", "bits"};
    static char name[40];
    unsigned seen = 0;
    for (unsigned element = 0; element < ELEMENT_COUNT; element++)
        for (unsigned metric = 0; metric < METRIC_COUNT; metric++)
            if (metric_fits((enum metric)metric, (enum element)element) && seen++ == kind) {
                snprintf(name, sizeof name, "%s, %s", elements[element],
                         metric_name((enum metric)metric));
                return name;
            }
    return NULL;
}

static unsigned kind_of(const struct space *space)
{
    unsigned kind = 0;
    for (unsigned element = 0; element < ELEMENT_COUNT; element++)
        for (unsigned metric = 0; metric < METRIC_COUNT; metric++) {
            if (element == space->element && metric == space->metric)
                return kind;
            kind += metric_fits((enum metric)metric, (enum element)element);
        }
    return kind;
}

static void put_values(fuzz_put *put, struct space space, uint64_t *random)
{
    struct buffer both = {0};
    uint8_t choice[4] = {(uint8_t)space.element, (uint8_t)space.metric};
    for (int i = 0; i < 2; i++) {
        struct vector vector;
        size_t size;
        vector_random(&vector, space.element, space.dims, space.dims, random);
        uint8_t *value = vector_value(&vector, space.element, &size);
        if (i == 0)
            store_be16(choice + 2, (uint16_t)size);
        if (buffer_append(&both, value, size) < 0)
            abort();
        free(value);
        vector_clear(&vector);
    }
    fuzz_put_behind(put, choice, sizeof choice, both.data, both.size);
    buffer_clear(&both);
}

void fuzz_seeds(fuzz_put *put)
{
    static const uint32_t dims[] = {1, 7, 64, 100, 515};
    uint64_t random = 11;
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (int element = 0; element < ELEMENT_COUNT; element++)
            for (int metric = 0; metric < METRIC_COUNT; metric++)
                put_values(put, (struct space){element, metric, dims[i]}, &random);
}

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
        fuzz_taken[kind_of(&space)] += rc == 0 && size != 0 && level == ISA_SCALAR;
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
