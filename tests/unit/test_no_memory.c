/* codec/, snapshots in the cache, searches and requests without memory (no_memory.h). */
#include "tests/unit/no_memory.h"

#include "codec/compress.h"
#include "codec/copy_stream.h"
#include "codec/json_writer.h"
#include "codec/rowgroup_agree.h"
#include "codec/rowgroup_pick.h"
#include "codec/vector_parse.h"
#include "fs/base/first_seen.h"
#include "fs/base/name_file.h"
#include "fs/base/row_name.h"
#include "fs/request.h"
#include "fs/tree/query_dir.h"
#include "fs/tree/user_statement.h"
#include "fs/views/manifest.h"
#include "index/exact.h"
#include "pgclient/ddl_pieces.h"
#include "pgclient/search_path.h"
#include "pgclient/selection.h"
#include "pgclient/sql_text.h"

#include "tests/unit/place.h"
#include "tests/unit/vectors.h"

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

static void each_table(int (*attempt)(void *), int also)
{
    for (size_t i = 0; i < ROWS_TABLES; i++) {
        struct setting setting = {.table = &rows_tables[i], .schema = rows_schema(&rows_tables[i])};
        setting.group = rows_group(&rows_tables[i], setting.schema, 0, 40);
        rows_stream(&rows_tables[i], setting.schema, 40, &setting.stream);
        struct text record = {0};
        schema_put(setting.schema, &record);
        must(record.failed == 0);
        setting.record = record.bytes;
        no_memory_each(attempt, &setting, also);
        rowgroup_free(setting.group);
        schema_free(setting.schema);
        buffer_clear(&setting.stream);
        buffer_clear(&setting.record);
    }
}

static int make_schema(void *context)
{
    (void)context;
    struct schema *schema;
    int rc = schema_new(true, &schema);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < 5; i++) {
        rc = schema_add(schema, "name", "type", NULL, true);
        assert_int_equal(schema->column_count, rc == 0 ? i + 1 : i);
    }
    schema_free(schema);
    return rc;
}

static int put_schema(void *context)
{
    struct setting *setting = context;
    struct text record = {0};
    schema_put(setting->schema, &record);
    int rc = record.failed;
    text_clear(&record);
    return rc;
}

static int get_schema(void *context)
{
    struct setting *setting = context;
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

static int build(void *context)
{
    struct setting *setting = context;
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

static int encode(void *context)
{
    struct setting *setting = context;
    struct rowgroup_image image = {0};
    int rc = rowgroup_encode(setting->group, setting->schema, true, &image);
    assert_int_equal(image.pieces != NULL, rc == 0);
    rowgroup_image_clear(&image);
    return rc;
}

static int decode(void *context)
{
    struct setting *setting = context;
    long at = no_memory_not_now();
    size_t size;
    struct rowgroup *group = NULL;
    uint8_t *file = rows_file(setting->group, setting->schema, &size);
    no_memory_again(at);
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

static int write_csv(void *context)
{
    struct setting *setting = context;
    setting->format = 0;
    return write_format(setting);
}

static int write_bin(void *context)
{
    struct setting *setting = context;
    setting->format = 1;
    return write_format(setting);
}

static int write_tsv(void *context)
{
    struct setting *setting = context;
    setting->format = 3;
    return write_format(setting);
}

static int write_arrow(void *context)
{
    struct setting *setting = context;
    setting->format = 4;
    return write_format(setting);
}

static int write_jsonl(void *context)
{
    struct setting *setting = context;
    setting->format = 2;
    return write_format(setting);
}

/* As the cache has it, run by run. */
static int read_runs(void *context)
{
    struct setting *setting = context;
    long at = no_memory_not_now();
    size_t size;
    uint8_t *file = rows_file(setting->group, setting->schema, &size);
    no_memory_again(at);
    struct buffer some = {0}; /* there may be none that takes any */
    struct rowgroup_head head;
    int rc = buffer_append_byte(&some, 0);
    if (rc == 0)
        rc = rowgroup_file_head(file, size, setting->schema, &head);
    for (int i = 0; rc == 0 && i <= head.runs; i++) {
        struct buffer memory[2];
        struct run run;
        rc = rowgroup_file_run(file, size, &head, i, memory, &run);
        if (rc == 0) {
            buffer_clear(&memory[0]);
            buffer_clear(&memory[1]);
        }
    }
    buffer_clear(&some);
    free(file);
    return rc;
}

/* In doubt they are of two histories. */
static int agree(void *context)
{
    const struct setting *setting = context;
    struct rowgroup none = {0};
    const struct rowgroup *group = setting->schema->with_row_ids ? setting->group : &none;
    return rowgroup_agrees(group, group, UINT32_MAX / 2) ? 0 : -ENOMEM;
}

static int pick_text(void *context, int run, uint32_t row, struct buffer *out)
{
    (void)context, (void)run;
    if (row % 3 == 0)
        return PICK_NULL;
    int rc = buffer_append_text(out, rows_texts[row % ROWS_TEXTS]);
    return rc < 0 ? rc : PICK_VALUE;
}

static int pick(void *context)
{
    struct rowgroup *group = NULL;
    int rc = rowgroup_pick(3, 50, pick_text, context, &group);
    assert_int_equal(group != NULL, rc == 0);
    rowgroup_free(group);
    return rc;
}

/* What is there already stays. */
static int squeeze(void *context)
{
    const struct setting *setting = context;
    struct buffer out = {0};
    long at = no_memory_not_now();
    must(buffer_append_text(&out, "before") == 0);
    no_memory_again(at);
    int rc = compress_block(setting->stream.data, setting->stream.size, &out);
    assert_true(rc == 0 || out.size == strlen("before"));
    assert_memory_equal(out.data, "before", strlen("before"));
    buffer_clear(&out);
    return rc;
}

static int parse_vectors(void *context)
{
    static const char *const texts[] = {
        [VECTOR_FLOAT32] = "[1,2.5,-3e2]\n[0,0,1]\n[4,5,6]",
        [VECTOR_FLOAT16] = "[1,2.5,-3]",
        [VECTOR_SPARSE] = "{1:0.5,7:-1}/300\n{2:1}/300",
        [VECTOR_BIT] = "0101\n1111",
    };
    int rc = 0;
    (void)context;
    for (int kind = 0; rc == 0 && kind <= VECTOR_BIT; kind++) {
        struct vector_form form = {.kind = (enum vector_kind)kind};
        struct vector_batch batch = {.count = 999};
        rc = vector_parse(&form, (const uint8_t *)texts[kind], strlen(texts[kind]), &batch, NULL);
        assert_int_equal(batch.count == 999, rc < 0);
        if (rc == 0)
            vector_batch_clear(&batch);
    }
    return rc;
}

/* The bytes of a buffer are as before. */
static int append(void *context)
{
    (void)context;
    struct buffer out = {0};
    int rc = 0;
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

static int load_snapshot(void *context)
{
    struct setting *setting = context;
    struct snapshot *snapshot = NULL;
    int rc = snapshot_load(setting->place->store, PLACE_RELATION, &snapshot);
    assert_int_equal(snapshot != NULL, rc == 0);
    snapshot_unref(snapshot);
    return rc;
}

static int save_snapshot(void *context)
{
    struct setting *setting = context;
    struct snapshot *snapshot = NULL;
    long at = no_memory_not_now();
    must(snapshot_load(setting->place->store, PLACE_RELATION, &snapshot) == 0);
    no_memory_again(at);
    int rc = snapshot_save(snapshot);
    snapshot_unref(snapshot);
    return rc;
}

static int get_group(void *context)
{
    struct setting *setting = context;
    struct snapshot *snapshot = NULL;
    struct rowgroup *rows = NULL;
    long at = no_memory_not_now();
    must(snapshot_load(setting->place->store, PLACE_RELATION, &snapshot) == 0);
    no_memory_again(at);
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
    each_table(read_runs, 0);
    each_table(agree, 0);
    each_table(pick, 0);
    each_table(squeeze, 0);
}

static void test_vectors(void **state)
{
    (void)state;
    no_memory_each(parse_vectors, NULL, 0);
}

static void test_formats(void **state)
{
    (void)state;
    each_table(write_csv, 0);
    each_table(write_bin, 0);
    each_table(write_jsonl, 0);
    each_table(write_tsv, 0);
    each_table(write_arrow, 0);
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
    no_memory_each(load_snapshot, &setting, -EBADMSG);
    no_memory_each(save_snapshot, &setting, 0);
    no_memory_each(get_group, &setting, 0);
    place_close(&place);
}

/* The first row is the query, too. */
static int search(void *context)
{
    struct setting *setting = context;
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
        no_memory_each(search, &setting, 0);
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

static int cut_archive(void *context)
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
    (void)context;
    int rc = buffer_append_text(&text, printed);
    if (rc == 0)
        rc = ddl_cut_new(&text, &lines, &cut);
    return rc == 0 ? put_pieces(cut) : rc;
}

static void test_ddl(void **state)
{
    (void)state;
    no_memory_each(cut_archive, NULL, 0);
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
static int make_session(void *context)
{
    (void)context;
    static struct mount mount = {.ending = true};
    struct node node = {.class = &query_dir};
    replies = 0;
    request_start(&mount, NULL, &node, CALL_MKDIR, &(struct request_detail){.name = "a session"});
    assert_int_equal(replies, 1);
    assert_int_equal(node.calls, 0);
    return replied == EIO ? 0 : -replied;
}

static void test_request(void **state)
{
    (void)state;
    no_memory_each(make_session, NULL, 0);
}

static int make_statement(void *context)
{
    (void)context;
    static struct tree tree;
    static struct mount mount = {.tree = &tree};
    struct node node = {.name = (char *)"n"};
    struct relation relation = {0};
    struct user_statement *statement;
    int rc = user_statement_new(&mount, &node, &statement);
    if (rc < 0)
        return rc;
    char *text = shared_text_new("SELECT 1;", 9);
    rc = text == NULL ? -ENOMEM : user_statement_relation(statement, text, &relation);
    if (rc == 0) {
        assert_string_equal(relation.statement, "SELECT 1");
        user_statement_take(statement, 1, text, &relation);
        assert_string_equal(statement->relation.name, "n");
    }
    shared_text_unref(text);
    user_statement_end(statement);
    assert_int_equal(tree.user_statement_count, 0);
    return rc;
}

static void test_statement(void **state)
{
    (void)state;
    no_memory_each(make_statement, NULL, 0);
}

static int write_text(void *context)
{
    struct text text = {0};
    (void)context;
    for (int i = 0; i < 100; i++)
        text_printf(&text, "%d, ", i);
    char *string = text_take(&text);
    int rc = string == NULL ? -ENOMEM : 0;
    free(string);
    return rc;
}

static int write_json(void *context)
{
    struct json_writer json = {0};
    struct buffer out = {0};
    (void)context;
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

static int write_sql(void *context)
{
    struct setting *setting = context;
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

static int write_manifest(void *context)
{
    struct setting *setting = context;
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
    no_memory_each(write_manifest, &setting, 0);
    snapshot_unref(setting.snapshot);
    place_close(&place);
    each_table(write_sql, 0);
    no_memory_each(write_text, NULL, 0);
    no_memory_each(write_json, NULL, 0);
}

/* ---- names of rows ---- */

static int read_row_name(void *context)
{
    struct row_name name;
    int rc = row_name_read(context, strlen(context), &name);
    if (rc == 0)
        row_name_clear(&name);
    return rc;
}

static int write_row_name(void *context)
{
    const char *const values[] = {context, "=,"};
    struct buffer text = {0};
    int rc = row_name_write(values, 2, &text);
    assert_int_equal(text.size > 0, rc == 0);
    buffer_clear(&text);
    return rc;
}

static int list_names(void *context)
{
    struct name_list list;
    struct name_file *file = NULL;
    (void)context;
    int rc = name_list_begin("/tmp", &list);
    if (rc < 0)
        return rc;
    rc = name_list_add(&list, (const uint8_t *)"name", 4);
    if (rc < 0)
        name_list_give_up(&list);
    else
        rc = name_list_end(&list, &file);
    name_file_unref(file);
    return rc;
}

static int remember_paths(void *context)
{
    struct first_seen *seen;
    (void)context;
    int rc = first_seen_new(16, &seen);
    if (rc == 0)
        first_seen_free(seen);
    return rc;
}

static void test_rows_by_key(void **state)
{
    (void)state;
    no_memory_each(read_row_name, (char[]){"a%2Cb,c"}, 0);
    no_memory_each(read_row_name, (char[]){"column=value"}, 0);
    no_memory_each(write_row_name, (char[]){"value"}, 0);
    no_memory_each(list_names, NULL, 0);
    no_memory_each(remember_paths, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer),  cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_schema),  cmocka_unit_test(test_rowgroup),
        cmocka_unit_test(test_formats), cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_search),  cmocka_unit_test(test_ddl),
        cmocka_unit_test(test_request), cmocka_unit_test(test_statement),
        cmocka_unit_test(test_writers), cmocka_unit_test(test_rows_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
