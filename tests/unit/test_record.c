#include "codec/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static const char *const texts[] = {
    "", "a", "ü\n%", "longer than a few bytes, so that the buffer has to grow for it"};

static const uint8_t some_bytes[] = {'a', 0, 'b'};

static struct text example(void)
{
    struct text record = {0};
    record_put_u8(&record, 0xAB);
    record_put_u32(&record, 0x01020304);
    record_put_u64(&record, UINT64_C(0x0102030405060708));
    for (size_t i = 0; i < 4; i++)
        record_put_string(&record, texts[i]);
    record_put_bytes(&record, some_bytes, sizeof some_bytes);
    record_put_bytes(&record, NULL, 0);
    return record;
}

static struct record_reader reader_of(const uint8_t *bytes, size_t size)
{
    return (struct record_reader){.at = bytes, .end = bytes + size};
}

static void read_all(struct record_reader *in, bool whole)
{
    uint8_t a = record_get_u8(in);
    uint32_t b = record_get_u32(in);
    uint64_t c = record_get_u64(in);
    if (whole) {
        assert_int_equal(a, 0xAB);
        assert_int_equal(b, 0x01020304);
        assert_true(c == UINT64_C(0x0102030405060708));
    }
    for (size_t i = 0; i < 4; i++) {
        char *text = record_get_string(in);
        if (whole)
            assert_string_equal(text, texts[i]);
        free(text);
    }
    size_t size, none;
    const uint8_t *read = record_get_bytes(in, &size), *nothing = record_get_bytes(in, &none);
    assert_true(!whole ||
                (size == sizeof some_bytes && memcmp(read, some_bytes, size) == 0 && none == 0));
    assert_int_equal(nothing == NULL, in->bad);
    assert_true(in->bad || read != NULL);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct text record = example();
    struct record_reader in = reader_of(record.bytes.data, record.bytes.size);
    read_all(&in, true);
    assert_false(in.bad);
    assert_ptr_equal(in.at, in.end);
    text_clear(&record);
}

static void test_layout(void **state)
{
    (void)state;
    struct text record = {0};
    record_put_u32(&record, 0x01020304);
    record_put_string(&record, "xy");
    assert_int_equal(record.bytes.size, 10);
    assert_memory_equal(record.bytes.data, "\x04\x03\x02\x01\x02\0\0\0xy", 10);
    text_clear(&record);
}

/* Cut anywhere, it is bad, and nothing behind the cut is read: the copy ends there. */
static void test_every_cut(void **state)
{
    (void)state;
    struct text record = example();
    for (size_t cut = 0; cut < record.bytes.size; cut++) {
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, record.bytes.data, cut);
        copy = realloc(copy, cut > 0 ? cut : 1);
        struct record_reader in = reader_of(copy, cut);
        read_all(&in, false);
        assert_true(in.bad);
        free(copy);
    }
    text_clear(&record);
}

/* After the first failure everything is 0 or NULL, though there are bytes left. */
static void test_bad_stays_bad(void **state)
{
    (void)state;
    struct record_reader in = reader_of((const uint8_t *)"\x01\x01\x01", 3);
    assert_int_equal(record_get_u32(&in), 0);
    assert_true(in.bad);
    assert_int_equal(record_get_u8(&in), 0);
    assert_null(record_get_string(&in));
    assert_true(record_get_u64(&in) == 0);
}

/* What is beyond its bound is bad, as what is beyond the end is. */
static void test_bounds(void **state)
{
    (void)state;
    static const uint64_t most[] = {0, 1, 255, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++)
        for (int beyond = 0; beyond < 2 && most[i] + (uint64_t)beyond >= most[i]; beyond++) {
            struct text record = {0};
            uint64_t value = most[i] + (uint64_t)beyond;
            record_put_u64(&record, value);
            struct record_reader in = reader_of(record.bytes.data, record.bytes.size);
            assert_true(record_get_u64_to(&in, most[i]) == (beyond ? 0 : value));
            assert_int_equal(in.bad, beyond);
            in = reader_of(record.bytes.data, record.bytes.size);
            if (value <= UINT32_MAX) {
                assert_true(record_get_u32_to(&in, (uint32_t)most[i]) == (beyond ? 0 : value));
                assert_int_equal(in.bad, beyond);
            }
            text_clear(&record);
        }
}

static void test_times(void **state)
{
    (void)state;
    enum { MICRO = 1000000 };
    const uint64_t most = (uint64_t)time(NULL) + RECORD_SECONDS_AHEAD;
    const uint64_t times[] = {0,
                              1795972487,
                              most - 1,
                              most,
                              most + 60,
                              most * MICRO,
                              (most + 60) * MICRO,
                              RECORD_SECONDS_MOST,
                              RECORD_MICROSECONDS_MOST,
                              INT64_MAX,
                              (uint64_t)INT64_MIN,
                              UINT64_MAX};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct text record = {0};
        bool seconds = times[i] <= most, micro = times[i] <= most * MICRO;
        record_put_u64(&record, times[i]);
        struct record_reader in = reader_of(record.bytes.data, record.bytes.size);
        assert_true(record_get_seconds(&in) == (seconds ? (int64_t)times[i] : 0));
        assert_int_equal(in.bad, !seconds);
        in = reader_of(record.bytes.data, record.bytes.size);
        assert_true(record_get_microseconds(&in) == (micro ? (int64_t)times[i] : 0));
        assert_int_equal(in.bad, !micro);
        text_clear(&record);
    }
}

static void test_strings_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {{"\x03\0\0\0a\0b", 7},
                 {"\x01\0\0\0\0", 5},
                 {"\xff\xff\xff\xff"
                  "abc",
                  7},
                 {"\x04\0\0\0abc", 7},
                 {"\x01\0\0", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct record_reader in = reader_of((const uint8_t *)cases[i].bytes, cases[i].size);
        assert_null(record_get_string(&in));
        assert_true(in.bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_bad_stays_bad),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_strings_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
