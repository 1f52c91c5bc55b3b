#include "codec/parquet_levels.h"

#include "codec/crc32.h"
#include "tests/unit/parquet_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct stretch {
    uint8_t level;
    uint32_t count;
};

static struct buffer write(unsigned most, const struct stretch *stretches, size_t count)
{
    struct buffer out = {0};
    struct levels levels;
    assert_int_equal(buffer_append_text(&out, "front"), 0);
    levels_open(&levels, most, &out);
    for (size_t i = 0; i < count; i++)
        levels_put(&levels, stretches[i].level, stretches[i].count);
    assert_int_equal(levels_close(&levels), 0);
    assert_memory_equal(out.data, "front", 5);
    return out;
}

#define WRITES(most, expected, ...)                                                                \
    do {                                                                                           \
        static const struct stretch stretches[] = {__VA_ARGS__};                                   \
        struct buffer got = write(most, stretches, sizeof stretches / sizeof *stretches);          \
        assert_int_equal(got.size - 5, sizeof(expected) - 1);                                      \
        assert_memory_equal(got.data + 5, expected, sizeof(expected) - 1);                         \
        buffer_clear(&got);                                                                        \
    } while (0)

static void test_bytes(void **state)
{
    (void)state;
    WRITES(1, "\2\0\0\0\x14\x01", {1, 10}); /* one run */
    WRITES(1, "\2\0\0\0\x06\x01", {1, 3});  /* the last one may be short */
    WRITES(1, "\2\0\0\0\x14\x01", {1, 4}, {1, 0}, {0, 0}, {1, 6});
    WRITES(1, "\2\0\0\0\x03\x06", {0, 1}, {1, 2}, {0, 1}); /* packed, and filled with zeros */
    WRITES(2, "\3\0\0\0\x03\x86\x00", {2, 1}, {1, 1}, {0, 1}, {2, 1}, {0, 1});
    /* The repetition levels of a vector of 1,536: five bytes, and the next one's. */
    WRITES(1, "\5\0\0\0\x03\xFE\xF0\x17\x01", {0, 1}, {1, 1535});
    WRITES(1, "\x0A\0\0\0\x03\xFE\xF0\x17\x01\x03\xFE\xF0\x17\x01", {0, 1}, {1, 1535}, {0, 1},
           {1, 1535});
    WRITES(1, "\0\0\0\0", {1, 0});
}

static uint32_t random_number(uint32_t end)
{
    static uint64_t at = 3;
    at = at * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((at >> 32) * end >> 32);
}

enum { STRETCHES = 60 };

static void read_back(unsigned most, const struct stretch *stretches, size_t count)
{
    struct buffer out = write(most, stretches, count);
    const uint8_t *at = out.data + 5, *end = out.data + out.size;
    struct parquet_levels levels;
    assert_true(parquet_levels_open(&at, end, most, &levels));
    assert_true(at == end);
    for (size_t i = 0; i < count; i++)
        for (uint32_t n = 0; n < stretches[i].count; n++)
            assert_int_equal(parquet_level(&levels), stretches[i].level);
    assert_true(parquet_levels_end(&levels));
    buffer_clear(&out);
}

static void test_read_back(void **state)
{
    (void)state;
    static const uint32_t longest[] = {2, 9, 20, 300, 100000};
    for (int round = 0; round < 20000; round++) {
        struct stretch stretches[STRETCHES];
        unsigned most = 1 + random_number(2);
        size_t count = 1 + random_number(STRETCHES);
        uint32_t end = longest[random_number(round % 100 == 0 ? 5 : 4)];
        for (size_t i = 0; i < count; i++)
            stretches[i] = (struct stretch){(uint8_t)random_number(most + 1), random_number(end)};
        read_back(most, stretches, count);
    }
}

static void test_crc32(void **state)
{
    (void)state;
    uint8_t bytes[100];
    assert_int_equal(crc32_of("123456789", 9), 0xCBF43926);
    assert_int_equal(crc32_of("", 0), 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_number(256);
    for (size_t from = 0; from < 9; from++)
        for (size_t size = 0; from + size <= sizeof bytes; size++)
            assert_int_equal(crc32_of(bytes + from, size), parquet_crc(bytes + from, size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_crc32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
