/* A row group's file cut at any byte, or with any bit turned over, is refused, or (where the bit
 * stands in the padding) gives a group of the same contents. Nothing is read outside of it: run it
 * under `make asan`.
 *
 *   rowgroup_damage          groups of 0 to 200 rows of all tables of rows.h; also all pairs of a
 *                            cut and a bit's flip
 *   rowgroup_damage short    groups of 0, 1 and 12 rows
 */
#include "tests/unit/rows.h"

#include <errno.h>
#include <stdio.h>

static unsigned long long refused, harmless;

/* The bytes from memory of exactly their size. */
static bool check(const uint8_t *file, size_t size, const struct schema *schema,
                  const struct rowgroup *expected, bool must_fail)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    struct rowgroup *group;
    must(copy != NULL);
    memcpy(copy, file, size);
    int rc = rowgroup_decode(copy, size, schema, &group);
    if (rc < 0) {
        free(copy);
        refused++;
        return rc == -EBADMSG;
    }
    bool same = !must_fail && rows_same_group(group, expected);
    rowgroup_free(group);
    harmless++;
    return same;
}

static bool check_file(uint8_t *file, size_t size, const struct schema *schema,
                       const struct rowgroup *group, bool pairs)
{
    for (size_t cut = 0; cut < size; cut++)
        if (!check(file, cut, schema, group, false)) {
            fprintf(stderr, "cut at %zu of %zu\n", cut, size);
            return false;
        }
    uint32_t head = load_le32(file + 16);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        file[bit / 8] ^= (uint8_t)(1U << bit % 8);
        bool good = check(file, size, schema, group, bit < 8 * head);
        for (size_t cut = size - 1; good && pairs && cut > 0 && cut + 64 > size; cut--)
            good = check(file, cut, schema, group, false);
        file[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (!good) {
            fprintf(stderr, "bit %zu of byte %zu of %zu\n", bit % 8, bit / 8, size);
            return false;
        }
    }
    return true;
}

static bool check_table(const struct rows_table *table, uint32_t rows, bool pairs)
{
    struct schema *schema = rows_schema(table);
    struct rowgroup *group = rows_group(table, schema, 0, rows);
    size_t size;
    uint8_t *file = rows_file(group, schema, &size);
    bool good =
        check(file, size, schema, group, false) && check_file(file, size, schema, group, pairs);
    if (!good)
        fprintf(stderr, "table %s, %u rows\n", table->name, rows);
    free(file);
    rowgroup_free(group);
    schema_free(schema);
    return good;
}

int main(int argc, char **argv)
{
    static const uint32_t few[] = {0, 1, 12}, many[] = {0, 1, 2, 5, 12, 13, 14, 50, 200};
    bool brief = argc > 1;
    (void)argv;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (size_t k = 0; k < (brief ? sizeof few : sizeof many) / sizeof *few; k++)
            if (!check_table(&rows_tables[i], brief ? few[k] : many[k], !brief && many[k] < 14))
                return 1;
    printf("%llu damaged row groups refused, %llu of the same contents\n", refused, harmless);
    return 0;
}
