/* What a row costs on its way from COPY BINARY to the bodies of files, without a server: made in
 * memory, fed row by row as libpq hands them out. Processor time of this thread, the best of
 * several rounds.
 *
 *   format [WORKLOAD [STEP [SECONDS]]]   only this one; without: all, about half a second a step */
#include "fs/rows/group_copy.h"

#include "codec/bytes.h"
#include "codec/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void must(bool holds)
{
    if (!holds)
        abort();
}

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t end)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 32) * end >> 32);
}

static void put_be(struct buffer *out, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    store_be64(bytes, value);
    must(buffer_append(out, bytes + 8 - size, size) == 0);
}

static void put_field(struct buffer *out, uint64_t value, size_t size)
{
    put_be(out, size, 4);
    put_be(out, value, size);
}

static void put_bytes(struct buffer *out, const void *bytes, size_t size)
{
    put_be(out, size, 4);
    must(buffer_append(out, bytes, size) == 0);
}

/* Words; about one in `special` is followed by something that CSV or JSON looks at. */
static size_t make_text(char *out, size_t size, uint32_t special)
{
    static const char *const words[] = {"vector",  "index",     "of",       "a",
                                        "nearest", "neighbour", "graph",    "the",
                                        "query",   "recall",    "distance", "and"};
    size_t n = 0;
    while (n < size) {
        const char *word = words[random_below(12)];
        size_t length = strlen(word);
        memcpy(out + n, word, length);
        n += length;
        out[n++] = random_below(special) == 0 ? ",\"\n\\"[random_below(4)] : ' ';
    }
    return size;
}

/* ---- workloads ---- */

static void put_ints(struct buffer *out, uint32_t row, bool nulls)
{
    put_field(out, row, 4);
    for (int i = 0; i < 2; i++)
        if (nulls && random_below(4) == 0)
            put_be(out, UINT32_MAX, 4);
        else
            put_field(out, i == 0 ? random_below(1000000) : random_below(UINT32_MAX), 4);
    put_field(out, (uint64_t)row * 1000003, 8);
}

static void row_ints(struct buffer *out, uint32_t row) { put_ints(out, row, false); }

static void row_ints_nulls(struct buffer *out, uint32_t row) { put_ints(out, row, true); }

static void row_mixed(struct buffer *out, uint32_t row)
{
    put_field(out, row, 4);
    put_field(out, row & 1, 1);
    put_field(out, random_below(UINT32_MAX), 8);
    double value = random_below(1000000) / 100.0;
    uint64_t bits;
    memcpy(&bits, &value, 8);
    put_field(out, bits, 8);
    put_field(out, 8000 + random_below(1000), 4);
    char word[16];
    put_bytes(out, word, make_text(word, 1 + random_below(5), 1000));
}

static void row_text(struct buffer *out, uint32_t row)
{
    char text[1024], uuid[16];
    put_field(out, row, 8);
    put_bytes(out, text, make_text(text, 30 + random_below(20), 20));
    put_bytes(out, text, make_text(text, 400 + random_below(400), 20));
    put_field(out, UINT64_C(750000000000000) + (uint64_t)row * 1000001, 8);
    put_field(out, UINT64_C(750000000000000) + (uint64_t)row * 60000000, 8);
    for (int i = 0; i < 16; i++)
        uuid[i] = (char)random_below(256);
    put_bytes(out, uuid, sizeof uuid);
    /* A numeric: its binary, then in an array each its text and its JSON. */
    put_field(out, UINT64_C(0x0002000000000002), 8);
    put_be(out, 0, 0);
    int n = snprintf(text, sizeof text, "%u.%02u", random_below(10000), random_below(100));
    for (int i = 0; i < 2; i++) {
        put_be(out, 24 + (size_t)n, 4);
        const uint32_t head[] = {1, 0, 25, 1, 1};
        for (int k = 0; k < 5; k++)
            put_be(out, head[k], 4);
        put_bytes(out, text, (size_t)n);
    }
}

static const struct workload {
    const char *name;
    uint32_t rows;
    const char *columns; /* types, separated by blanks; numeric: rendered by the server */
    void (*put_row)(struct buffer *out, uint32_t row);
} workloads[] = {
    {"ints", 400000, "int4 int4 int4 int8", row_ints},
    {"ints_nulls", 400000, "int4 int4 int4 int8", row_ints_nulls},
    {"mixed", 300000, "int4 bool int8 float8 date varchar", row_mixed},
    {"text", 40000, "int8 text text timestamp timestamptz uuid numeric", row_text},
};

enum { WORKLOADS = sizeof workloads / sizeof *workloads };

static struct schema *make_schema(const struct workload *workload)
{
    struct schema *schema;
    const bool with_binary[8] = {true, true, true, true, true, true, true, true};
    char types[128], *rest = types;
    snprintf(types, sizeof types, "%s", workload->columns);
    must(schema_new(true, &schema) == 0);
    for (char *type; (type = strtok_r(rest, " ", &rest)) != NULL;) {
        char name[16];
        snprintf(name, sizeof name, "column_%d", schema->column_count);
        must(schema_add(schema, name, type, type_find(NULL, type), true) == 0);
    }
    schema_number(schema, with_binary, 1 << PART_BINARY | 1 << PART_TEXT | 1 << PART_JSON);
    return schema;
}

/* ---- steps ---- */

struct bench {
    struct schema *schema;
    struct buffer stream;
    size_t *ends; /* of the pieces that libpq would hand out */
    size_t pieces;
    uint32_t rows;
    struct rowgroup *groups[1024];
    int group_count;
    bool keeps; /* the groups that are fed; else they are dropped as after their rendering */
    size_t out; /* bytes that the last step made */
    struct buffer scratch;
};

static void make_stream(struct bench *bench, const struct workload *workload)
{
    bench->rows = workload->rows;
    bench->ends = calloc((size_t)workload->rows + 2, sizeof *bench->ends);
    must(bench->ends != NULL);
    must(buffer_append(&bench->stream, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19) == 0);
    for (uint32_t row = 0; row < workload->rows; row++) {
        put_be(&bench->stream, (uint64_t)rowgroup_fields(bench->schema), 2);
        put_be(&bench->stream, 6, 4);
        put_be(&bench->stream, row / 100, 4);
        put_be(&bench->stream, row % 100 + 1, 2);
        put_field(&bench->stream, 1000, 4);
        workload->put_row(&bench->stream, row);
        bench->ends[bench->pieces++] = bench->stream.size;
    }
    put_be(&bench->stream, 0xFFFF, 2);
    bench->ends[bench->pieces++] = bench->stream.size;
}

static void drop_groups(struct bench *bench)
{
    for (int i = 0; i < bench->group_count; i++)
        rowgroup_free(bench->groups[i]);
    bench->group_count = 0;
}

static int keep_group(void *context, struct rowgroup *rows, const struct ctid_range *range)
{
    struct bench *bench = context;
    (void)range;
    if (!bench->keeps) {
        rowgroup_free(rows);
        return 0;
    }
    must(bench->group_count < 1024);
    bench->groups[bench->group_count++] = rows;
    return 0;
}

static void feed(struct bench *bench)
{
    struct group_copy copy;
    must(group_copy_init(&copy, bench->schema, NULL, keep_group, bench, NULL) == 0);
    size_t at = 0;
    for (size_t i = 0; i < bench->pieces; at = bench->ends[i++])
        must(group_copy_feed(&copy, bench->stream.data + at, bench->ends[i] - at) == 0);
    must(group_copy_finish(&copy, copy.stream.tuples) == 0);
    group_copy_clear(&copy);
    bench->out = bench->stream.size;
}

static void encode(struct bench *bench)
{
    bench->out = 0;
    for (int i = 0; i < bench->group_count; i++) {
        struct rowgroup_image image;
        must(rowgroup_encode(bench->groups[i], bench->schema, true, &image) == 0);
        bench->out += image.size;
        rowgroup_image_clear(&image);
    }
}

/* With a copy of the file, which a decoded group keeps. */
static void encode_and_decode(struct bench *bench)
{
    bench->out = 0;
    for (int i = 0; i < bench->group_count; i++) {
        struct rowgroup_image image;
        struct rowgroup *group;
        must(rowgroup_encode(bench->groups[i], bench->schema, true, &image) == 0);
        uint8_t *file = malloc(image.size);
        must(file != NULL);
        size_t at = 0;
        for (int k = 0; k < image.count; at += image.pieces[k++].iov_len)
            memcpy(file + at, image.pieces[k].iov_base, image.pieces[k].iov_len);
        must(rowgroup_decode(file, image.size, bench->schema, &group) == 0);
        bench->out += image.size;
        rowgroup_image_clear(&image);
        rowgroup_free(group);
    }
}

/* One buffer for all groups, as a fetch has it. */
static void write_bodies(struct bench *bench, const struct format *format)
{
    bench->out = 0;
    for (int i = 0; i < bench->group_count; i++) {
        bench->scratch.size = 0;
        must(format->body(bench->schema, bench->groups[i], NULL, &bench->scratch) == 0);
        bench->out += bench->scratch.size;
    }
}

static void csv(struct bench *bench) { write_bodies(bench, &format_csv); }

static void tsv(struct bench *bench) { write_bodies(bench, &format_tsv); }

static void jsonl(struct bench *bench) { write_bodies(bench, &format_jsonl); }

static void bin(struct bench *bench) { write_bodies(bench, &format_bin); }

static const struct step {
    const char *name;
    void (*run)(struct bench *bench);
} steps[] = {{"feed", feed},
             {"csv", csv},
             {"tsv", tsv},
             {"jsonl", jsonl},
             {"bin", bin},
             {"encode", encode},
             {"en+decode", encode_and_decode}};

enum { STEPS = sizeof steps / sizeof *steps };

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void measure(struct bench *bench, const struct step *step, double seconds)
{
    double best = 1e9, start = seconds_now();
    int rounds = 0;
    while (rounds < 3 || seconds_now() - start < seconds) {
        double before = seconds_now();
        step->run(bench);
        double took = seconds_now() - before;
        best = took < best ? took : best;
        rounds++;
    }
    printf("  %-9s %8.1f ns/row %8.0f MB/s  (%zu bytes)\n", step->name, 1e9 * best / bench->rows,
           1e-6 * (double)bench->out / best, bench->out);
}

int main(int argc, char **argv)
{
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 0.5;
    for (int i = 0; i < WORKLOADS; i++) {
        if (argc > 1 && strcmp(argv[1], workloads[i].name) != 0)
            continue;
        struct bench bench = {.schema = make_schema(&workloads[i])};
        make_stream(&bench, &workloads[i]);
        printf("%s (%s), %u rows, %.1f bytes a row\n", workloads[i].name, workloads[i].columns,
               bench.rows, (double)bench.stream.size / bench.rows);
        bench.keeps = true;
        feed(&bench);
        bench.keeps = false;
        for (int k = 0; k < STEPS; k++)
            if (argc < 3 || strcmp(argv[2], steps[k].name) == 0)
                measure(&bench, &steps[k], seconds);
        drop_groups(&bench);
        buffer_clear(&bench.scratch);
        buffer_clear(&bench.stream);
        free(bench.ends);
        schema_free(bench.schema);
    }
    return 0;
}
