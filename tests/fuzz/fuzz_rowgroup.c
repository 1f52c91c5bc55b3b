/* A row group's file as anybody may have left it: byte 0 chooses the table (rows.h); of byte 1, bit
 * 0 says that the checksums are to hold (they are then computed here, or nothing behind them would
 * be reached); the rest is the file. What is accepted can be walked, rendered and encoded again. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/rows.h"

#include <errno.h>

unsigned long fuzz_taken[FUZZ_KINDS_MOST];

const char *fuzz_kind(unsigned kind) { return kind < ROWS_TABLES ? rows_tables[kind].name : NULL; }

/* With checksums of their own, and with those that are computed here. */
void fuzz_seeds(fuzz_put *put)
{
    for (uint8_t table = 0; table < ROWS_TABLES; table++) {
        struct schema *schema = rows_schema(&rows_tables[table]);
        for (uint32_t rows = 0; rows < 60; rows = 3 * rows + 2) {
            struct rowgroup *group = rows_group(&rows_tables[table], schema, 0, rows);
            size_t size;
            uint8_t *file = rows_file(group, schema, &size);
            for (uint8_t sealed = 0; sealed < 2; sealed++) {
                const uint8_t choice[] = {table, sealed};
                fuzz_put_behind(put, choice, sizeof choice, file, size);
            }
            free(file);
            rowgroup_free(group);
        }
        schema_free(schema);
    }
}

enum { DIRECTORY = 52, RUN = 70, BLOCK = 33 }; /* rowgroup.h draws it */

static void seal(uint8_t *file, size_t size, int runs)
{
    size_t head = DIRECTORY + (size_t)runs * RUN;
    if (size < head)
        return;
    for (int i = 0; i < 2 * runs; i++) {
        uint8_t *entry = file + DIRECTORY + i / 2 * RUN + 4 + i % 2 * BLOCK;
        uint64_t offset = load_le64(entry + 1), stored = load_le64(entry + 9);
        if (offset <= size && stored <= size - offset)
            store_le64(entry + 25, hash128(file + offset, stored).low);
    }
    store_le32(file + 16, (uint32_t)head);
    store_le64(file + 8, hash64(file + 16, head - 16));
}

/* A billion bytes are cheap to claim once the checksums hold. Not under test is how long
 * they take. */
static bool is_huge(const uint8_t *file, size_t size, int runs)
{
    if (size < DIRECTORY + (size_t)runs * RUN)
        return false;
    for (int i = 0; i < 2 * runs; i++)
        if (load_le64(file + DIRECTORY + i / 2 * RUN + 4 + i % 2 * BLOCK + 17) > 1 << 24)
            return true;
    return false;
}

static void check_group(const struct schema *schema, const struct rowgroup *group)
{
    for (int i = 0; i < group->run_count; i++)
        must(rows_same_run(&group->runs[i], &group->runs[i], group->rows));
    for (uint32_t row = 0; schema->with_row_ids && row < group->rows; row++)
        must(rowgroup_row_id(group, row).block <= UINT32_MAX);
    for (int f = 0; f < FORMAT_COUNT; f++) {
        struct buffer out = {0};
        int rc = formats[f]->possible(schema) ? formats[f]->body(schema, group, NULL, &out) : 0;
        bool without_form = rc == -EDOM && formats[f]->formless != NULL;
        must(rc == 0 || rc == -EBADMSG || rc == -ENOMEM || without_form);
        buffer_clear(&out);
    }
    size_t size;
    struct rowgroup *back;
    uint8_t *file = rows_file(group, schema, &size);
    must(rowgroup_decode(file, size, schema, &back) == 0);
    must(rows_same_group(group, back));
    rowgroup_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct schema *schema = rows_schema(&rows_tables[data[0] % ROWS_TABLES]);
    struct rowgroup *group;
    uint8_t *file = malloc(size - 2 > 0 ? size - 2 : 1);
    must(file != NULL);
    memcpy(file, data + 2, size - 2);
    if (data[1] & 1)
        seal(file, size - 2, schema_parts(schema) + 1);
    int rc = is_huge(file, size - 2, schema_parts(schema) + 1)
                 ? -EBADMSG
                 : rowgroup_decode(file, size - 2, schema, &group);
    must(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
    if (rc == 0) {
        check_group(schema, group);
        fuzz_taken[data[0] % ROWS_TABLES] += data[1] & 1 && group->rows > 0;
        rowgroup_free(group);
    } else {
        free(file);
    }
    schema_free(schema);
    return 0;
}
