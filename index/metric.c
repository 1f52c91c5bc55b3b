#include "index/metric.h"

#include <string.h>

static const struct {
    const char *name, *operator;
} metrics[METRIC_COUNT] = {
    [METRIC_L2] = {"l2", "<->"},           [METRIC_IP] = {"ip", "<#>"},
    [METRIC_COSINE] = {"cosine", "<=>"},   [METRIC_L1] = {"l1", "<+>"},
    [METRIC_HAMMING] = {"hamming", "<~>"}, [METRIC_JACCARD] = {"jaccard", "<%>"},
};

const char *metric_name(enum metric metric) { return metrics[metric].name; }

const char *metric_operator(enum metric metric) { return metrics[metric].operator; }

int metric_find(const char *name, size_t size)
{
    for (int i = 0; i < METRIC_COUNT; i++)
        if (strlen(metrics[i].name) == size && memcmp(metrics[i].name, name, size) == 0)
            return i;
    return -1;
}

bool metric_fits(enum metric metric, enum element element)
{
    bool of_bits = metric == METRIC_HAMMING || metric == METRIC_JACCARD;
    return of_bits == (element == ELEMENT_BIT);
}

int element_find(const char *type)
{
    static const struct {
        const char *type;
        enum element element;
    } types[] = {{"vector", ELEMENT_FLOAT32},
                 {"halfvec", ELEMENT_FLOAT16},
                 {"sparsevec", ELEMENT_SPARSE},
                 {"bit", ELEMENT_BIT},
                 {"varbit", ELEMENT_BIT}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].type, type) == 0)
            return (int)types[i].element;
    return -1;
}
