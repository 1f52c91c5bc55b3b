#include "fs/tables/partitions.h"

#include "codec/text.h"
#include "fs/base/name.h"
#include "pgclient/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* NULL: no memory. */
static char *write_name(const struct relation *parent, const struct relation *relation)
{
    struct text name = {0};
    if (strcmp(parent->schema, relation->schema) != 0) {
        text_fail(&name, name_encode(relation->schema, &name.bytes));
        text_put(&name, "%2E");
    }
    text_fail(&name, name_encode(relation->name, &name.bytes));
    return text_take(&name);
}

static int compare_oids(const void *a, const void *b)
{
    const struct relation *const *x = a, *const *y = b;
    return ((*x)->oid > (*y)->oid) - ((*x)->oid < (*y)->oid);
}

static int compare_names(const void *a, const void *b)
{
    const struct partition *x = a, *y = b;
    uint32_t p = x->relation->parent, q = y->relation->parent;
    return p != q ? (p > q) - (p < q) : strcmp(x->name, y->name);
}

/* `parents` has room for all relations. */
static int name_each(const struct catalog *catalog, const struct relation **parents,
                     struct partitions *out)
{
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; i < catalog->relation_count; i++)
        if (catalog->relations[i].kind == RELATION_PARTITIONED)
            parents[n++] = &catalog->relations[i];
    qsort(parents, n, sizeof *parents, compare_oids);
    for (size_t i = 0; rc == 0 && i < catalog->relation_count; i++) {
        const struct relation *relation = &catalog->relations[i],
                              *key = &(struct relation){.oid = relation->parent};
        const struct relation **parent =
            relation->parent != 0 ? bsearch(&key, parents, n, sizeof *parents, compare_oids) : NULL;
        if (parent == NULL)
            continue;
        struct partition *one = &out->list[out->count];
        one->name = write_name(*parent, relation);
        rc = one->name != NULL ? 0 : -ENOMEM;
        one->relation = relation;
        out->count += rc == 0;
    }
    return rc;
}

int partitions_make(const struct catalog *catalog, struct partitions *out)
{
    size_t n = catalog->relation_count + 1;
    const struct relation **parents = calloc(n, sizeof *parents);
    *out = (struct partitions){.list = calloc(n, sizeof *out->list)};
    int rc = parents == NULL || out->list == NULL ? -ENOMEM : name_each(catalog, parents, out);
    free(parents);
    if (rc < 0) {
        partitions_clear(out);
        return rc;
    }
    qsort(out->list, out->count, sizeof *out->list, compare_names);
    return 0;
}

void partitions_clear(struct partitions *partitions)
{
    for (size_t i = 0; i < partitions->count; i++)
        free(partitions->list[i].name);
    free(partitions->list);
    *partitions = (struct partitions){0};
}

/* The first partition that does not come before parent and name. */
static size_t place_of(const struct partitions *partitions, uint64_t parent, const char *name)
{
    size_t low = 0, high = partitions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct partition *at = &partitions->list[middle];
        bool before = at->relation->parent != parent ? at->relation->parent < parent
                                                     : strcmp(at->name, name) < 0;
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct partition *partitions_of(const struct partitions *partitions, uint32_t parent,
                                      size_t *count)
{
    size_t first = place_of(partitions, parent, "");
    *count = place_of(partitions, (uint64_t)parent + 1, "") - first;
    return &partitions->list[first];
}

const struct relation *partitions_find(const struct partitions *partitions, uint32_t parent,
                                       const char *name)
{
    size_t at = place_of(partitions, parent, name);
    const struct partition *found = at < partitions->count ? &partitions->list[at] : NULL;
    return found != NULL && found->relation->parent == parent && strcmp(found->name, name) == 0
               ? found->relation
               : NULL;
}
