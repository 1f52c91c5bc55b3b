#include "codec/compress.h"
#include "codec/hash.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* `printf '' | xxhsum -H2` and `printf abc | xxhsum -H2`; -H3 for the 64 bits. */
static void test_known_values(void **state)
{
    (void)state;
    char text[33];
    hash128_text(hash128("", 0), text);
    assert_string_equal(text, "99aa06d3014798d86001c324468d497f");
    hash128_text(hash128("abc", 3), text);
    assert_string_equal(text, "06b05ab6733a618578af5f94892f3950");
    assert_true(hash64("", 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hash64("abc", 3) == UINT64_C(0x78af5f94892f3950));
    hash128_text((struct hash128){0, 1}, text);
    assert_string_equal(text, "00000000000000000000000000000001");
}

/* However the bytes come in pieces, the value is that of the whole. */
static void test_every_cut(void **state)
{
    (void)state;
    uint8_t bytes[600];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i + 3);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        struct hash_stream *stream = hash_stream_new();
        assert_non_null(stream);
        hash_stream_add(stream, bytes, cut);
        hash_stream_add(stream, NULL, 0);
        hash_stream_add(stream, bytes + cut, sizeof bytes - cut);
        assert_true(hash128_equal(hash_stream_value(stream), hash128(bytes, sizeof bytes)));
        hash_stream_free(stream);
    }
    hash_stream_free(NULL);
}

static void test_compress_round_trip(void **state)
{
    (void)state;
    uint8_t raw[3000], back[3000];
    for (size_t size = 0; size < sizeof raw; size += 37) {
        struct buffer frame = {0};
        for (size_t i = 0; i < size; i++)
            raw[i] = (uint8_t)(i % 11 == 0 ? i : 'a');
        assert_int_equal(buffer_append_text(&frame, "before"), 0);
        assert_int_equal(compress_block(raw, size, &frame), 0);
        assert_int_equal(decompress(frame.data + 6, frame.size - 6, back, size), 0);
        assert_memory_equal(raw, back, size);
        assert_int_equal(decompress(frame.data + 6, frame.size - 6, back, size + 1), -EBADMSG);
        assert_int_equal(size == 0 ? -EBADMSG
                                   : decompress(frame.data + 6, frame.size - 6, back, size - 1),
                         -EBADMSG);
        for (size_t cut = 0; cut < frame.size - 6; cut++)
            assert_int_equal(cut == 0 && size == 0 ? -EBADMSG
                                                   : decompress(frame.data + 6, cut, back, size),
                             -EBADMSG);
        buffer_clear(&frame);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_compress_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
