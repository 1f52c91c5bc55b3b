/* A COPY stream from a server that may send anything: byte 0 chooses the table (rows.h), byte 1 how
 * it is cut into pieces, the rest is the stream. Whatever the cuts, the tuples and the verdict are
 * the same; rows that are taken can be encoded and rendered. */
#include "codec/copy_stream.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/rows.h"

#include <errno.h>

unsigned long fuzz_taken[FUZZ_KINDS_MOST];

const char *fuzz_kind(unsigned kind) { return kind < ROWS_TABLES ? rows_tables[kind].name : NULL; }

void fuzz_seeds(fuzz_put *put)
{
    for (uint8_t table = 0; table < ROWS_TABLES; table++) {
        struct schema *schema = rows_schema(&rows_tables[table]);
        for (uint32_t rows = 0; rows < 20; rows += 5) {
            struct buffer stream = {0};
            const uint8_t choice[] = {table, (uint8_t)(3 * rows)};
            rows_stream(&rows_tables[table], schema, rows, &stream);
            fuzz_put_behind(put, choice, sizeof choice, stream.data, stream.size);
            buffer_clear(&stream);
        }
        schema_free(schema);
    }
}

struct sink {
    struct buffer kept;
    struct rowgroup_builder *builder; /* NULL once it has refused a row */
};

static int keep(void *context, const uint8_t *tuple, size_t size)
{
    struct sink *sink = context;
    uint8_t head[8];
    store_be64(head, size);
    must(buffer_append(&sink->kept, head, 8) == 0 && buffer_append(&sink->kept, tuple, size) == 0);
    if (sink->builder != NULL && rowgroup_builder_add(sink->builder, tuple, size, NULL) < 0) {
        rowgroup_builder_free(sink->builder);
        sink->builder = NULL;
    }
    return 0;
}

static int feed(const struct schema *schema, const uint8_t *bytes, size_t size, size_t piece,
                struct sink *sink)
{
    struct copy_stream stream = {.fields = rowgroup_fields(schema)};
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        uint8_t *copy = malloc(n); /* exactly its size, so that a read behind it is seen */
        must(copy != NULL);
        memcpy(copy, bytes + at, n);
        rc = copy_stream_feed(&stream, copy, n, keep, sink, NULL);
        free(copy);
    }
    if (rc == 0)
        rc = copy_stream_end(&stream, stream.tuples, NULL);
    must(rc == 0 || rc == -EBADMSG);
    copy_stream_clear(&stream);
    return rc;
}

static void check_group(const struct schema *schema, struct rowgroup *group)
{
    size_t size;
    struct rowgroup *back;
    uint8_t *file = rows_file(group, schema, &size);
    must(rowgroup_decode(file, size, schema, &back) == 0);
    must(rows_same_group(group, back));
    for (int f = 0; f < FORMAT_COUNT; f++) {
        struct buffer out = {0};
        if (formats[f]->possible(schema)) {
            int rc = formats[f]->body(schema, back, NULL, &out);
            uint64_t measured = out.size;
            must(rc == 0 || rc == -EBADMSG || (rc == -EDOM && formats[f]->formless != NULL));
            if (formats[f]->body_size != NULL)
                must(formats[f]->body_size(schema, back, &measured) == rc &&
                     (rc < 0 || measured == out.size));
        }
        buffer_clear(&out);
    }
    rowgroup_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct schema *schema = rows_schema(&rows_tables[data[0] % ROWS_TABLES]);
    struct sink whole = {.builder = NULL}, cut = {.builder = NULL};
    must(rowgroup_builder_new(schema, &whole.builder) == 0);
    int rc = feed(schema, data + 2, size - 2, size, &whole);
    must(feed(schema, data + 2, size - 2, (size_t)data[1] + 1, &cut) == rc);
    must(whole.kept.size == cut.kept.size &&
         (cut.kept.size == 0 || memcmp(whole.kept.data, cut.kept.data, cut.kept.size) == 0));
    struct rowgroup *group;
    if (whole.builder != NULL && rowgroup_builder_finish(whole.builder, &group) == 0) {
        check_group(schema, group);
        fuzz_taken[data[0] % ROWS_TABLES] += rc == 0 && group->rows > 0;
        rowgroup_free(group);
    }
    rowgroup_builder_free(whole.builder);
    buffer_clear(&whole.kept);
    buffer_clear(&cut.kept);
    schema_free(schema);
    return 0;
}
