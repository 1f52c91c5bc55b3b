#include "codec/rowgroup_agree.h"

#include <stdlib.h>
#include <string.h>

struct pair {
    uint32_t earlier, later; /* numbers of rows */
};

static int compare_places(struct row_id a, struct row_id b)
{
    if (a.block != b.block)
        return a.block < b.block ? -1 : 1;
    return (a.offset > b.offset) - (a.offset < b.offset);
}

/* Pairs the rows of the same id. False: a row of the later group cannot have come since. */
static bool pair_up(const struct rowgroup *earlier, const struct rowgroup *later, uint32_t horizon,
                    struct pair *pairs, size_t *count)
{
    uint32_t e = 0;
    *count = 0;
    for (uint32_t l = 0; l < later->rows; l++) {
        struct row_id id = rowgroup_row_id(later, l);
        while (e < earlier->rows && compare_places(rowgroup_row_id(earlier, e), id) < 0)
            e++;
        struct row_id was = e < earlier->rows ? rowgroup_row_id(earlier, e) : (struct row_id){0};
        if (e < earlier->rows && compare_places(was, id) == 0 && was.xmin == id.xmin)
            pairs[(*count)++] = (struct pair){e, l};
        else if ((int32_t)(id.xmin - horizon) < 0)
            return false;
    }
    return true;
}

static bool next_value(struct run_cursor *cursor, uint32_t row, const uint8_t **bytes, size_t *size)
{
    bool is = false;
    do
        is = run_next(cursor, bytes, size);
    while (cursor->row <= row);
    return is;
}

static bool same_values(const struct run *earlier, const struct run *later,
                        const struct pair *pairs, size_t count)
{
    struct run_cursor a = {.run = earlier}, b = {.run = later};
    for (size_t i = 0; i < count; i++) {
        const uint8_t *a_bytes = NULL, *b_bytes = NULL;
        size_t a_size = 0, b_size = 0;
        bool a_is = next_value(&a, pairs[i].earlier, &a_bytes, &a_size),
             b_is = next_value(&b, pairs[i].later, &b_bytes, &b_size);
        if (a_is != b_is ||
            (a_is && (a_size != b_size || (a_size > 0 && memcmp(a_bytes, b_bytes, a_size) != 0))))
            return false;
    }
    return true;
}

bool rowgroup_agrees(const struct rowgroup *earlier, const struct rowgroup *later, uint32_t horizon)
{
    size_t count = 0;
    if (earlier->run_count != later->run_count)
        return false;
    struct pair *pairs = malloc(((size_t)later->rows + 1) * sizeof *pairs);
    bool agrees = pairs != NULL && pair_up(earlier, later, horizon, pairs, &count);
    for (int i = 0; agrees && i < later->run_count; i++)
        agrees = same_values(&earlier->runs[i], &later->runs[i], pairs, count);
    free(pairs);
    return agrees;
}
