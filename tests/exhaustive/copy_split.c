/* A COPY stream arrives in any pieces: every cut into two and into three (and into single bytes)
 * gives the tuples of the whole, for all tables of rows.h.
 *
 *   copy_split          40 rows, and every cut of each table's first rows into four
 *   copy_split short    3 rows
 */
#include "codec/copy_stream.h"

#include "tests/unit/rows.h"

#include <stdio.h>

static int keep(void *context, const uint8_t *tuple, size_t size)
{
    struct buffer *kept = context;
    uint8_t head[4];
    store_be32(head, (uint32_t)size);
    int rc = buffer_append(kept, head, 4);
    return rc < 0 ? rc : buffer_append(kept, tuple, size);
}

struct split {
    const struct buffer *bytes;
    int fields;
    const struct buffer *expected;
    unsigned long long count;
};

/* Feeds the pieces that end at cuts[0] <= cuts[1] … <= the stream's end. */
static bool check(struct split *split, const size_t *cuts, int count)
{
    struct copy_stream stream = {.fields = split->fields};
    struct buffer kept = {0};
    size_t from = 0;
    int rc = 0;
    for (int i = 0; rc == 0 && i <= count; i++) {
        size_t to = i < count ? cuts[i] : split->bytes->size;
        rc = copy_stream_feed(&stream, split->bytes->data + from, to - from, keep, &kept, NULL);
        from = to;
    }
    if (rc == 0)
        rc = copy_stream_end(&stream, stream.tuples, NULL);
    bool same = rc == 0 && kept.size == split->expected->size &&
                (kept.size == 0 || memcmp(kept.data, split->expected->data, kept.size) == 0);
    copy_stream_clear(&stream);
    buffer_clear(&kept);
    split->count++;
    if (!same)
        fprintf(stderr, "cut at %zu %zu %zu: %d\n", cuts[0], count > 1 ? cuts[1] : 0,
                count > 2 ? cuts[2] : 0, rc);
    return same;
}

static bool check_bytes(struct split *split)
{
    size_t n = split->bytes->size, *cuts = malloc(n * sizeof *cuts);
    must(cuts != NULL);
    for (size_t i = 0; i < n; i++)
        cuts[i] = i;
    bool same = check(split, cuts, (int)n);
    free(cuts);
    return same;
}

static bool check_cuts(struct split *split, int pieces)
{
    size_t n = split->bytes->size, cuts[3];
    for (cuts[0] = 0; cuts[0] <= n; cuts[0]++)
        for (cuts[1] = cuts[0]; cuts[1] <= n; cuts[1]++) {
            if (pieces == 3 && !check(split, cuts, 2))
                return false;
            for (cuts[2] = cuts[1]; pieces == 4 && cuts[2] <= n; cuts[2]++)
                if (!check(split, cuts, 3))
                    return false;
        }
    return true;
}

static bool check_table(const struct rows_table *table, uint32_t rows, int pieces,
                        unsigned long long *count)
{
    struct schema *schema = rows_schema(table);
    struct buffer bytes = {0}, expected = {0};
    rows_stream(table, schema, rows, &bytes);
    for (uint32_t row = 0; row < rows; row++) {
        struct buffer tuple = {0};
        rows_put_tuple(&tuple, table, schema, row);
        must(keep(&expected, tuple.data, tuple.size) == 0);
        buffer_clear(&tuple);
    }
    struct split split = {&bytes, rowgroup_fields(schema), &expected, 0};
    bool same = check_bytes(&split) && check_cuts(&split, pieces);
    *count += split.count;
    buffer_clear(&bytes);
    buffer_clear(&expected);
    schema_free(schema);
    return same;
}

int main(int argc, char **argv)
{
    bool brief = argc > 1;
    (void)argv;
    unsigned long long count = 0;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        if (!check_table(&rows_tables[i], brief ? 3 : 40, 3, &count) ||
            (!brief && !check_table(&rows_tables[i], 2, 4, &count)))
            return 1;
    printf("%llu cuts of a COPY stream gave the same tuples\n", count);
    return 0;
}
