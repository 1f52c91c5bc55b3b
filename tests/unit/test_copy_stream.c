#include "codec/copy_stream.h"

#include "tests/unit/rows.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Keeps the tuples, each behind its size. */
static int keep(void *context, const uint8_t *tuple, size_t size)
{
    struct buffer *kept = context;
    uint8_t head[4];
    store_be32(head, (uint32_t)size);
    int rc = buffer_append(kept, head, 4);
    return rc < 0 ? rc : buffer_append(kept, tuple, size);
}

/* The whole stream from memory of exactly its size; 0 or the first error of feed or end. */
static int read_stream(const void *bytes, size_t size, int fields, struct buffer *kept)
{
    struct copy_stream stream = {.fields = fields};
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    int rc = copy_stream_feed(&stream, copy, size, keep, kept, NULL);
    if (rc == 0)
        rc = copy_stream_end(&stream, stream.tuples, NULL);
    free(copy);
    copy_stream_clear(&stream);
    return rc;
}

static void assert_reads(const void *bytes, size_t size, int fields, int expected)
{
    struct buffer kept = {0};
    assert_int_equal(read_stream(bytes, size, fields, &kept), expected);
    buffer_clear(&kept);
}

#define HEAD "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"
#define READS(text, fields, expected) assert_reads(text, sizeof(text) - 1, fields, expected)

static void test_tuples(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++) {
        struct schema *schema = rows_schema(&rows_tables[i]);
        struct buffer stream = {0}, kept = {0}, expected = {0};
        rows_stream(&rows_tables[i], schema, 20, &stream);
        for (uint32_t row = 0; row < 20; row++) {
            struct buffer tuple = {0};
            rows_put_tuple(&tuple, &rows_tables[i], schema, row);
            assert_int_equal(keep(&expected, tuple.data, tuple.size), 0);
            buffer_clear(&tuple);
        }
        assert_int_equal(read_stream(stream.data, stream.size, rowgroup_fields(schema), &kept), 0);
        assert_int_equal(kept.size, expected.size);
        assert_memory_equal(kept.data, expected.data, kept.size);
        buffer_clear(&stream);
        buffer_clear(&kept);
        buffer_clear(&expected);
        schema_free(schema);
    }
}

static void test_good_streams(void **state)
{
    (void)state;
    READS(HEAD "\377\377", 3, 0);
    READS(HEAD "\0\0\0\0\377\377", 0, 0);
    READS(HEAD "\0\1\377\377\377\377\377\377", 1, 0);
    READS("PGCOPY\n\377\r\n\0\0\0\0\1\0\0\0\3xyz\377\377", 2,
          0); /* a flag that may be ignored, an extension */
    READS("PGCOPY\n\377\r\n\0\0\0\377\377\0\0\0\0\377\377", 2, 0); /* all of them */
}

static void test_bad_headers(void **state)
{
    (void)state;
    READS("", 1, -EBADMSG);
    READS("PGCOPX", 1, -EBADMSG);
    READS("PGCOPY\n\377\r\n\1\0\0\0\0\0\0\0\0\377\377", 1, -EBADMSG);
    READS("PGCOPY\r\n\377\n\0\0\0\0\0\0\0\0\0\377\377", 1, -EBADMSG);
    for (int bit = 0; bit < 32; bit++) {
        char header[] = HEAD "\377\377";
        store_be32(header + 11, 1U << bit);
        assert_reads(header, sizeof header - 1, 1, bit < 16 ? 0 : -EBADMSG);
    }
    READS("PGCOPY\n\377\r\n\0\0\0\0\0\377\377\377\377\377\377", 1,
          -EBADMSG); /* a negative extension */
    READS("PGCOPY\n\377\r\n\0\0\0\0\0\200\0\0\0\377\377", 1, -EBADMSG);
}

static void test_bad_tuples(void **state)
{
    (void)state;
    for (int fields = -32768; fields < 32768; fields++) {
        char stream[] = HEAD "\0\0\377\377\377\377\377\377";
        store_be16(stream + 19, (uint16_t)fields);
        assert_reads(stream, sizeof stream - 1, 1, fields == 1 ? 0 : -EBADMSG);
    }
    READS(HEAD "\0\1\377\377\377\376\377\377", 1, -EBADMSG); /* size -2 */
    READS(HEAD "\0\1\200\0\0\0\377\377", 1, -EBADMSG);       /* the most negative size */
    READS(HEAD "\0\2\0\0\0\1x\377\377\377\376\377\377", 2, -EBADMSG);
    READS(HEAD "\0\1\177\377\377\377x\377\377", 1, -EBADMSG); /* more than comes */
    READS(HEAD "\0\0\0\0", 0, -EBADMSG);                      /* no trailer */
    READS(HEAD "\377\377x", 1, -EBADMSG);                     /* bytes behind it */
    READS(HEAD "\377\377\377\377", 1, -EBADMSG);
}

/* More or fewer than the server says. */
static void test_lost_and_doubled_tuples(void **state)
{
    (void)state;
    static const uint8_t bytes[] = HEAD "\0\1\377\377\377\377\0\1\0\0\0\1x\377\377";
    for (uint64_t said = 0; said < 5; said++)
        for (size_t cut = 0; cut < sizeof bytes; cut++) {
            struct copy_stream stream = {.fields = 1};
            struct error error = {""};
            struct buffer kept = {0};
            assert_int_equal(copy_stream_feed(&stream, bytes, cut, keep, &kept, &error), 0);
            assert_int_equal(
                copy_stream_feed(&stream, bytes + cut, sizeof bytes - 1 - cut, keep, &kept, &error),
                0);
            assert_int_equal(copy_stream_end(&stream, said, &error), said == 2 ? 0 : -EBADMSG);
            assert_true(said == 2 || strstr(error.text, "2 rows came") != NULL);
            copy_stream_clear(&stream);
            buffer_clear(&kept);
        }
}

static void test_bytes_behind_the_trailer_in_another_piece(void **state)
{
    (void)state;
    struct copy_stream stream = {.fields = 1};
    assert_int_equal(
        copy_stream_feed(&stream, (const uint8_t *)HEAD "\377\377", 21, keep, NULL, NULL), 0);
    assert_int_equal(copy_stream_end(&stream, 0, NULL), 0);
    assert_int_equal(copy_stream_feed(&stream, NULL, 0, keep, NULL, NULL), 0);
    assert_int_equal(copy_stream_end(&stream, 0, NULL), 0);
    assert_int_equal(copy_stream_feed(&stream, (const uint8_t *)"x", 1, keep, NULL, NULL),
                     -EBADMSG);
    copy_stream_clear(&stream);
    copy_stream_clear(&stream);
}

/* Many fields, of sizes that stay for a while and then change. */
static void test_sizes_that_change(void **state)
{
    (void)state;
    enum { FIELDS = 20, ROWS = 500 };
    static const uint32_t sizes[] = {4, 4, 4, 4, 0, UINT32_MAX, 8, 4};
    struct buffer stream = {0}, kept = {0}, expected = {0};
    assert_int_equal(buffer_append(&stream, HEAD, 19), 0);
    for (uint32_t row = 0; row < ROWS; row++) {
        struct buffer tuple = {0};
        for (uint32_t field = 0; field < FIELDS; field++) {
            uint32_t turn = (row * FIELDS + field) * 2654435761U >> 20;
            uint32_t size = sizes[turn % 16 < 12 ? 0 : turn / 16 % 8];
            rows_put_be32(&tuple, size);
            for (uint32_t i = 0; size != UINT32_MAX && i < size; i++)
                assert_int_equal(buffer_append_byte(&tuple, (uint8_t)turn), 0);
        }
        assert_int_equal(buffer_append(&stream, "\0\24", 2), 0);
        assert_int_equal(buffer_append(&stream, tuple.data, tuple.size), 0);
        assert_int_equal(keep(&expected, tuple.data, tuple.size), 0);
        buffer_clear(&tuple);
    }
    assert_int_equal(buffer_append(&stream, "\377\377", 2), 0);
    assert_int_equal(read_stream(stream.data, stream.size, FIELDS, &kept), 0);
    assert_int_equal(kept.size, expected.size);
    assert_memory_equal(kept.data, expected.data, kept.size);
    buffer_clear(&stream);
    buffer_clear(&kept);
    buffer_clear(&expected);
}

/* Bad ones behind good ones of the same size. */
static void test_bad_tuples_behind_good_ones(void **state)
{
    (void)state;
#define GOOD "\0\1\0\0\0\1x\0\1\0\0\0\1y"
    READS(HEAD GOOD "\377\377", 1, 0);
    READS(HEAD GOOD, 1, -EBADMSG);
    READS(HEAD GOOD "\0\1\0\0\0\1", 1, -EBADMSG);
    READS(HEAD GOOD "\0\1\0\0\0\2z", 1, -EBADMSG);
    READS(HEAD GOOD "\0\2\0\0\0\1z\377\377", 1, -EBADMSG);
    READS(HEAD GOOD "\0\1\377\377\377\376\377\377", 1, -EBADMSG);
    READS(HEAD GOOD "\0\1\200\0\0\1z\377\377", 1, -EBADMSG);
    READS(HEAD GOOD "\0\1\177\377\377\377z\377\377", 1, -EBADMSG);
#undef GOOD
}

/* A prefix of a stream is no stream. */
static void test_every_truncation(void **state)
{
    (void)state;
    struct schema *schema = rows_schema(&rows_tables[0]);
    struct buffer stream = {0};
    rows_stream(&rows_tables[0], schema, 12, &stream);
    for (size_t size = 0; size < stream.size; size++)
        assert_reads(stream.data, size, rowgroup_fields(schema), -EBADMSG);
    buffer_clear(&stream);
    schema_free(schema);
}

static int refuse(void *context, const uint8_t *tuple, size_t size)
{
    int *left = context;
    (void)tuple, (void)size;
    return (*left)-- == 0 ? -ECANCELED : 0;
}

static void test_sink_ends_the_feed(void **state)
{
    (void)state;
    struct schema *schema = rows_schema(&rows_tables[0]);
    struct buffer bytes = {0};
    rows_stream(&rows_tables[0], schema, 10, &bytes);
    for (int rows = 0; rows < 10; rows++) {
        struct copy_stream stream = {.fields = rowgroup_fields(schema)};
        int left = rows;
        assert_int_equal(copy_stream_feed(&stream, bytes.data, bytes.size, refuse, &left, NULL),
                         -ECANCELED);
        assert_int_equal(left, -1);
        copy_stream_clear(&stream);
    }
    buffer_clear(&bytes);
    schema_free(schema);
}

static void test_says_why(void **state)
{
    (void)state;
    struct copy_stream stream = {.fields = 1};
    struct error error = {""};
    assert_int_equal(copy_stream_feed(&stream, (const uint8_t *)"NOTCOPY", 7, keep, NULL, &error),
                     -EBADMSG);
    assert_non_null(strstr(error.text, "signature"));
    copy_stream_clear(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tuples),
        cmocka_unit_test(test_good_streams),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_bad_tuples),
        cmocka_unit_test(test_lost_and_doubled_tuples),
        cmocka_unit_test(test_bytes_behind_the_trailer_in_another_piece),
        cmocka_unit_test(test_sizes_that_change),
        cmocka_unit_test(test_bad_tuples_behind_good_ones),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_sink_ends_the_feed),
        cmocka_unit_test(test_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
