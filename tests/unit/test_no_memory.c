/* Every allocation fails once. The Makefile links this test with --wrap for the functions below, so
 * that the n-th allocation of what is under test can be made to fail, for n = 1, 2, … until all
 * goes well. Each time the answer is -ENOMEM and nothing is lost or left behind. */
#include "codec/copy_stream.h"
#include "codec/json_writer.h"
#include "fs/request.h"
#include "fs/tree/query_dir.h"
#include "fs/views/manifest.h"
#include "index/exact.h"
#include "pgclient/ddl_pieces.h"
#include "pgclient/search_path.h"
#include "pgclient/selection.h"
#include "pgclient/sql_text.h"

#include "tests/unit/place.h"
#include "tests/unit/vectors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static long countdown; /* 0: nothing fails */

static long blocks; /* allocated, and not freed yet */

static bool fails(void) { return countdown > 0 && --countdown == 0; }

static void *counted(void *block)
{
    blocks += block != NULL;
    return block;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_reallocarray(void *block, size_t count, size_t size);
char *__real_strdup(const char *text);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_reallocarray(void *block, size_t count, size_t size);
char *__wrap_strdup(const char *text);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size) { return fails() ? NULL : counted(__real_malloc(size)); }

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (fails())
        return NULL;
    return block == NULL ? counted(__real_malloc(size)) : __real_realloc(block, size);
}

void *__wrap_reallocarray(void *block, size_t count, size_t size)
{
    if (fails())
        return NULL;
    return block == NULL ? counted(__real_calloc(count, size))
                         : __real_reallocarray(block, count, size);
}

char *__wrap_strdup(const char *text) { return fails() ? NULL : counted(__real_strdup(text)); }

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *block)
{
    blocks -= block != NULL;
    __real_free(block);
}

/* What the attempts work on, made without failures. */
struct setting {
    struct place *place;
    struct snapshot *snapshot;
    const struct rows_table *table;
    struct schema *schema;
    struct rowgroup *group;
    struct buffer stream, record;
    int format;
    struct space space;
    struct span span;
};

/* Calls `attempt` until no allocation fails in it. `also`: another errno that stands for it. */
static void each_failure(int (*attempt)(struct setting *), struct setting *setting, int also)
{
    for (long n = 1;; n++) {
        assert_true(n < 100000);
        countdown = n;
        long before = blocks;
        int rc = attempt(setting);
        bool failed = countdown == 0;
        countdown = 0;
        assert_int_equal(blocks, before);
        if (!failed) {
            assert_int_equal(rc, 0);
            assert_true(n > 1); /* it did allocate */
            return;
        }
        assert_true(rc == -ENOMEM || rc == also);
    }
}

static void each_table(int (*attempt)(struct setting *), int also)
{
    for (size_t i = 0; i < ROWS_TABLES; i++) {
        struct setting setting = {.table = &rows_tables[i], .schema = rows_schema(&rows_tables[i])};
        setting.group = rows_group(&rows_tables[i], setting.schema, 0, 40);
        rows_stream(&rows_tables[i], setting.schema, 40, &setting.stream);
        must(schema_put(setting.schema, &setting.record) == 0);
        each_failure(attempt, &setting, also);
        rowgroup_free(setting.group);
        schema_free(setting.schema);
        buffer_clear(&setting.stream);
        buffer_clear(&setting.record);
    }
}

static int make_schema(struct setting *setting)
{
    struct schema *schema;
    int rc = schema_new(true, &schema);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < 5; i++) {
        rc = schema_add(schema, "name", "type", NULL, true);
        assert_int_equal(schema->column_count, rc == 0 ? i + 1 : i);
    }
    (void)setting;
    schema_free(schema);
    return rc;
}

static int put_schema(struct setting *setting)
{
    struct buffer record = {0};
    int rc = schema_put(setting->schema, &record);
    buffer_clear(&record);
    return rc;
}

static int get_schema(struct setting *setting)
{
    struct record_reader in = {.at = setting->record.data,
                               .end = setting->record.data + setting->record.size};
    struct schema *schema = NULL;
    int rc = schema_get(&in, &schema);
    assert_int_equal(schema != NULL, rc == 0);
    schema_free(schema);
    return rc;
}

static int add_row(void *context, const uint8_t *tuple, size_t size)
{
    return rowgroup_builder_add(context, tuple, size, NULL);
}

static int build(struct setting *setting)
{
    struct copy_stream stream = {.fields = rowgroup_fields(setting->schema)};
    struct rowgroup_builder *builder;
    struct rowgroup *group = NULL;
    int rc = rowgroup_builder_new(setting->schema, &builder);
    if (rc < 0)
        return rc;
    for (size_t at = 0; rc == 0 && at < setting->stream.size; at += 100) {
        size_t n = setting->stream.size - at < 100 ? setting->stream.size - at : 100;
        rc = copy_stream_feed(&stream, setting->stream.data + at, n, add_row, builder, NULL);
    }
    if (rc == 0) {
        rc = rowgroup_builder_finish(builder, &group);
        assert_int_equal(group != NULL, rc == 0);
        if (rc == -ENOMEM) /* the rows are still there */
            assert_int_equal(rowgroup_builder_rows(builder), 40);
    }
    assert_true(rc < 0 || rows_same_group(group, setting->group));
    rowgroup_free(group);
    rowgroup_builder_free(builder);
    copy_stream_clear(&stream);
    return rc;
}

static int encode(struct setting *setting)
{
    struct rowgroup_image image = {0};
    int rc = rowgroup_encode(setting->group, setting->schema, true, &image);
    assert_int_equal(image.pieces != NULL, rc == 0);
    rowgroup_image_clear(&image);
    return rc;
}

static int decode(struct setting *setting)
{
    long at = countdown;
    countdown = 0;
    size_t size;
    struct rowgroup *group = NULL;
    uint8_t *file = rows_file(setting->group, setting->schema, &size);
    countdown = at;
    int rc = rowgroup_decode(file, size, setting->schema, &group);
    assert_int_equal(group != NULL, rc == 0);
    if (rc < 0)
        free(file);
    assert_true(rc < 0 || rows_same_group(group, setting->group));
    rowgroup_free(group);
    return rc;
}

static int write_format(struct setting *setting)
{
    struct buffer out = {0};
    const struct format *format = formats[setting->format];
    const struct format_view told = {.schema = setting->schema};
    int rc = format->possible(setting->schema) ? 0 : buffer_append_byte(&out, 0);
    if (rc == 0)
        rc = format_head(format, &told, &out);
    if (rc == 0 && format->possible(setting->schema))
        rc = format->body(setting->schema, setting->group, NULL, &out);
    if (rc == 0)
        rc = format_tail(format, &told, NULL, NULL, &out);
    buffer_clear(&out);
    return rc;
}

static int write_csv(struct setting *setting)
{
    setting->format = 0;
    return write_format(setting);
}

static int write_bin(struct setting *setting)
{
    setting->format = 1;
    return write_format(setting);
}

static int write_tsv(struct setting *setting)
{
    setting->format = 3;
    return write_format(setting);
}

static int write_jsonl(struct setting *setting)
{
    setting->format = 2;
    return write_format(setting);
}

/* The bytes of a buffer are as before. */
static int append(struct setting *setting)
{
    struct buffer out = {0};
    int rc = 0;
    (void)setting;
    for (int i = 0; rc == 0 && i < 50; i++) {
        struct buffer before = out;
        rc = i % 2 != 0 ? buffer_printf(&out, "%d and %s", i, "some text")
                        : buffer_append_text(&out, "0123456789");
        if (rc < 0)
            assert_memory_equal(&before, &out, sizeof out);
    }
    buffer_clear(&out);
    return rc;
}

static int load_snapshot(struct setting *setting)
{
    struct snapshot *snapshot = NULL;
    int rc = snapshot_load(setting->place->store, PLACE_RELATION, &snapshot);
    assert_int_equal(snapshot != NULL, rc == 0);
    snapshot_unref(snapshot);
    return rc;
}

static int save_snapshot(struct setting *setting)
{
    struct snapshot *snapshot = NULL;
    long at = countdown;
    countdown = 0;
    must(snapshot_load(setting->place->store, PLACE_RELATION, &snapshot) == 0);
    countdown = at;
    int rc = snapshot_save(snapshot);
    snapshot_unref(snapshot);
    return rc;
}

static int get_group(struct setting *setting)
{
    struct snapshot *snapshot = NULL;
    struct rowgroup *rows = NULL;
    long at = countdown;
    countdown = 0;
    must(snapshot_load(setting->place->store, PLACE_RELATION, &snapshot) == 0);
    countdown = at;
    int rc = fetch_group(&setting->place->fetch, snapshot, 0, &rows, NULL);
    assert_int_equal(rows != NULL, rc == 0);
    rowgroup_free(rows);
    snapshot_unref(snapshot);
    return rc;
}

static void test_buffer(void **state)
{
    (void)state;
    each_table(append, 0);
}

/* A record's strings say only that the record is bad (record.h). */
static void test_schema(void **state)
{
    (void)state;
    each_table(make_schema, 0);
    each_table(put_schema, 0);
    each_table(get_schema, -EBADMSG);
}

static void test_rowgroup(void **state)
{
    (void)state;
    each_table(build, 0);
    each_table(encode, 0);
    each_table(decode, 0);
}

static void test_formats(void **state)
{
    (void)state;
    each_table(write_csv, 0);
    each_table(write_bin, 0);
    each_table(write_jsonl, 0);
    each_table(write_tsv, 0);
}

static void test_snapshot(void **state)
{
    (void)state;
    struct place place;
    place_open(&place, 100 << 20);
    struct setting setting = {.place = &place};
    struct snapshot *snapshot = place_snapshot(&place, &rows_tables[0], 20, 5);
    must(snapshot_save(snapshot) == 0);
    snapshot_unref(snapshot);
    each_failure(load_snapshot, &setting, -EBADMSG);
    each_failure(save_snapshot, &setting, 0);
    each_failure(get_group, &setting, 0);
    place_close(&place);
}

/* The first row is the query, too. */
static int search(struct setting *setting)
{
    struct query *query;
    struct neighbour found[50];
    uint32_t count = 999;
    size_t size;
    const uint8_t *value = span_value(&setting->span, 0, &size);
    int rc = query_new(&setting->space, value, size, &query, NULL);
    if (rc != 0)
        return rc;
    struct exact_search search = {.spans = &setting->span, .span_count = 1, .k = 50, .threads = 1};
    rc = exact_search(&search, (const struct query *const *)&query, 1, found, &count, NULL);
    query_free(query);
    assert_int_equal(count, rc == 0 ? 50 : 999);
    return rc;
}

static void test_search(void **state)
{
    (void)state;
    uint64_t random = 3;
    for (int element = 0; element < ELEMENT_COUNT; element++) {
        struct setting setting = {
            .space = {element, element == ELEMENT_BIT ? METRIC_HAMMING : METRIC_L2, 20}};
        uint8_t *bytes = malloc(100 * 200);
        uint64_t starts[101] = {0};
        for (int i = 0; i < 100; i++) {
            struct vector vector;
            size_t size;
            vector_random(&vector, setting.space.element, 20, 20, &random);
            uint8_t *value = vector_value(&vector, setting.space.element, &size);
            memcpy(bytes + starts[i], value, size);
            starts[i + 1] = starts[i] + size;
            free(value);
            vector_clear(&vector);
        }
        setting.span = (struct span){bytes, 100, 0, starts};
        each_failure(search, &setting, 0);
        free(bytes);
    }
}

/* The DDL of a table with an extension, from an archive of both. */
static int put_pieces(struct ddl_cut *cut)
{
    struct ddl_relation relation = {.oid = 20001, .kind = 'r'};
    struct ddl_object object = {CATALOG_CLASS, 20001, 20001};
    struct ddl_need need = {20001, 17000};
    const struct ddl_facts facts = {.relations = &relation,
                                    .relation_count = 1,
                                    .objects = &object,
                                    .object_count = 1,
                                    .needs = &need,
                                    .need_count = 1};
    struct ddl_pieces *pieces;
    struct buffer out = {0};
    int rc = ddl_pieces_new(cut, &facts, &pieces);
    if (rc < 0)
        return rc;
    rc = ddl_pieces_put(pieces, pieces, 20001, &out);
    buffer_clear(&out);
    ddl_pieces_free(pieces);
    return rc;
}

static int cut_archive(struct setting *setting)
{
    static const char printed[] = "SET x = 1;\n\n"
                                  "--\n-- TOC entry 2 (class 3079 OID 17000)\n"
                                  "-- Name: e; Type: EXTENSION; Schema: -; Owner: \n--\n\ne;\n"
                                  "--\n-- TOC entry 3 (class 1259 OID 20001)\n-- Dependencies: 2\n"
                                  "-- Name: t; Type: TABLE; Schema: s; Owner: me\n--\n\nt;\n"
                                  "-- Completed on 2026-11-30\n\n--\n";
    static const char list[] = "2; 3079 17000 EXTENSION - e \n3; 1259 20001 TABLE s t me\n";
    const struct buffer lines = {.data = (uint8_t *)list, .size = sizeof list - 1};
    struct buffer text = {0};
    struct ddl_cut *cut;
    (void)setting;
    int rc = buffer_append_text(&text, printed);
    if (rc == 0)
        rc = ddl_cut_new(&text, &lines, &cut);
    return rc == 0 ? put_pieces(cut) : rc;
}

static void test_ddl(void **state)
{
    (void)state;
    each_failure(cut_archive, NULL, 0);
}

/* What libfuse is told and asks; the Makefile wraps it, too. */
int __wrap_fuse_reply_err(fuse_req_t req, int err);
const struct fuse_ctx *__wrap_fuse_req_ctx(fuse_req_t req);

static int replies, replied;

int __wrap_fuse_reply_err(fuse_req_t req, int err)
{
    (void)req;
    replies++;
    replied = err;
    return 0;
}

const struct fuse_ctx *__wrap_fuse_req_ctx(fuse_req_t req)
{
    static const struct fuse_ctx ctx;
    (void)req;
    return &ctx;
}

/* It is answered with EIO, since the mount ends. */
static int make_session(struct setting *setting)
{
    static struct mount mount = {.ending = true};
    struct node node = {.class = &query_dir};
    (void)setting;
    replies = 0;
    request_start(&mount, NULL, &node, CALL_MKDIR,
                  &(struct request_detail){.name = "a session"});
    assert_int_equal(replies, 1);
    assert_int_equal(node.calls, 0);
    return replied == EIO ? 0 : -replied;
}

static void test_request(void **state)
{
    (void)state;
    each_failure(make_session, NULL, 0);
}

static int write_text(struct setting *setting)
{
    struct text text = {0};
    (void)setting;
    for (int i = 0; i < 100; i++)
        text_printf(&text, "%d, ", i);
    char *string = text_take(&text);
    int rc = string == NULL ? -ENOMEM : 0;
    free(string);
    return rc;
}

static int write_json(struct setting *setting)
{
    struct json_writer json = {0};
    struct buffer out = {0};
    (void)setting;
    json_open_object(&json, NULL, JSON_LINES);
    json_open_array(&json, "a long list of words that are \xff no UTF-8", JSON_LINES);
    for (unsigned i = 0; i < 100; i++)
        json_put_words(&json, NULL, "a word \xff");
    json_close(&json);
    json_close(&json);
    int rc = json_end(&json, &out);
    assert_int_equal(out.size > 0, rc == 0);
    buffer_clear(&out);
    return rc;
}

static int write_sql(struct setting *setting)
{
    const struct source source = {.from = (char *)"ONLY \"t\""};
    struct text sql = {0};
    sql_literal(&sql, "a literal");
    sql_relation(&sql, "a schema", "a relation of it");
    search_path_put(&sql, "a, \"b \"\"\"");
    selection_put(&sql, setting->schema, &source, NULL, "UTF8");
    for (size_t i = 0; i < 100; i++)
        sql_listed(&sql, i, (int64_t)i);
    char *statement = text_take(&sql);
    int rc = statement == NULL ? -ENOMEM : 0;
    free(statement);
    return rc;
}

static int write_manifest(struct setting *setting)
{
    struct buffer out = {0};
    int rc = manifest_write(setting->snapshot, 7, true, &out);
    assert_int_equal(out.size > 0, rc == 0);
    buffer_clear(&out);
    return rc;
}

static void test_writers(void **state)
{
    (void)state;
    struct place place;
    place_open(&place, 100 << 20);
    struct setting setting = {.snapshot = place_snapshot(&place, &rows_tables[0], 20, 5)};
    each_failure(write_manifest, &setting, 0);
    snapshot_unref(setting.snapshot);
    place_close(&place);
    each_table(write_sql, 0);
    each_failure(write_text, NULL, 0);
    each_failure(write_json, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer),   cmocka_unit_test(test_schema),
        cmocka_unit_test(test_rowgroup), cmocka_unit_test(test_formats),
        cmocka_unit_test(test_snapshot), cmocka_unit_test(test_search),
        cmocka_unit_test(test_ddl),      cmocka_unit_test(test_request),
        cmocka_unit_test(test_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
