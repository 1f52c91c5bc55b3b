#include "codec/rowgroup_pick.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* Sizes are written for all rows; where all are alike, they are not needed. */
static int pick_run(struct rowgroup *group, int number, pick_value *value, void *context)
{
    struct buffer *bytes = &group->memory[2 * number], *sizes = bytes + 1;
    struct run *run = &group->runs[number];
    int rc = buffer_reserve(sizes, ((size_t)group->rows + 1) * sizeof(int32_t));
    if (rc < 0)
        return rc;
    int32_t *size = (void *)sizes->data;
    bool alike = true;
    for (uint32_t row = 0; row < group->rows; row++) {
        size_t before = bytes->size;
        rc = value(context, number, row, bytes);
        if (rc < 0)
            return rc;
        if (bytes->size - before > INT32_MAX)
            return -ENOMEM;
        size[row] = rc == PICK_NULL ? -1 : (int32_t)(bytes->size - before);
        alike &= size[row] >= 0 && size[row] == size[0];
    }
    *run = (struct run){.bytes = bytes->data,
                        .size = bytes->size,
                        .fixed = alike && group->rows > 0 ? (uint32_t)size[0] : RUN_VARIABLE};
    run->sizes = run->fixed == RUN_VARIABLE ? size : NULL;
    return 0;
}

int rowgroup_pick(int runs, uint32_t rows, pick_value *value, void *context, struct rowgroup **out)
{
    struct rowgroup *group = calloc(1, sizeof *group);
    if (group == NULL)
        return -ENOMEM;
    group->rows = rows;
    group->run_count = runs;
    group->runs = calloc((size_t)runs + 1, sizeof *group->runs);
    group->memory = calloc(2 * (size_t)runs + 1, sizeof *group->memory);
    int rc = group->runs == NULL || group->memory == NULL ? -ENOMEM : 0;
    if (rc == 0)
        group->memory_count = 2 * runs;
    for (int i = 0; rc == 0 && i < runs; i++)
        rc = pick_run(group, i, value, context);
    if (rc < 0)
        rowgroup_free(group);
    else
        *out = group;
    return rc;
}
