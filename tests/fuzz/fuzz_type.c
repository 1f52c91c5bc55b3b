/* The first byte chooses the type (modulo their number), the rest is a value's wire bytes. What is
 * written through a pen is what is rendered. */
#include "codec/csv_text.h"

#include "codec/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/type_json.h"

#include <errno.h>
#include <stdlib.h>

unsigned long fuzz_taken[FUZZ_KINDS_MOST];

const char *fuzz_kind(unsigned kind)
{
    size_t count;
    const struct type *types = type_all(&count);
    return kind < count ? types[kind].name : NULL;
}

/* Values of all shapes that there are; of a type that takes none of them one is missing here. */
void fuzz_seeds(fuzz_put *put)
{
#define BYTES(literal) literal, sizeof literal - 1
    static const struct {
        const char *bytes;
        size_t size;
    } values[] = {
        {BYTES("\1")},
        {BYTES("\0\1")},
        {BYTES("\0\0\0\1")},
        {BYTES("\0\0\0\0\0\0\0\1")},
        {BYTES("\0\0\0\0\0\0\0\1\0\0\0\0")},
        {BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1")},
        {BYTES("plain")},
        {BYTES("a \"quoted\", text\n")},
        {BYTES("a tab\there")},
        {BYTES("{\"a\": [1, 2]}")},
        {BYTES("\1{\"a\": [1, 2]}")},
        {BYTES("\0\2\0\0\x3f\x80\0\0\xbe\x99\x99\x9a")},          /* vector */
        {BYTES("\0\2\0\0\x3c\0\x38\1")},                          /* halfvec */
        {BYTES("\0\0\0\11\0\0\0\1\0\0\0\0\0\0\0\3\x3f\x80\0\0")}, /* sparsevec */
        {BYTES("\0\0\0\11\xaa\x80")},                             /* bit */
        {BYTES("\0\1\0\0\0\0\0\2\0\7")},                          /* numeric */
    };
    for (unsigned type = 0; fuzz_kind(type) != NULL; type++)
        for (size_t i = 0; i < sizeof values / sizeof *values; i++)
            fuzz_put_behind(put, &(uint8_t){(uint8_t)type}, 1, values[i].bytes, values[i].size);
}

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(const struct type *type, const struct buffer *text)
{
    if (type->csv == CSV_ANY || type->csv == CSV_TEXT)
        return;
    check(text->size > 0 && !(text->size == 2 && memcmp(text->data, "\\.", 2) == 0));
    for (size_t i = 0; i < text->size; i++) {
        check(text->data[i] != '"' && text->data[i] != '\n' && text->data[i] != '\r');
        check(text->data[i] != '\t');
        check(type->csv == CSV_LIST || text->data[i] != ',');
    }
}

static void check_json(const struct buffer *json)
{
    for (size_t i = 0; i < json->size; i++)
        check(json->data[i] != '\n' && json->data[i] != '\r');
}

/* Written behind a byte, into a buffer that is too small, or just large enough. */
static int write_out(write_value *write, quote_text *quoted, const uint8_t *wire, size_t size,
                     size_t capacity, struct buffer *out)
{
    check(buffer_reserve(out, capacity) == 0 && buffer_append_byte(out, '>') == 0);
    struct pen pen = {.out = out, .spare = VALUE_ROOM, .quoted = quoted};
    uint8_t *at = pen_open(&pen);
    check(at != NULL);
    at = write(&pen, at, wire, size);
    int rc = at != NULL ? pen_flush(&pen, at) : pen.rc < 0 ? pen.rc : -EBADMSG;
    pen_clear(&pen);
    return rc;
}

static void check_write(write_value *write, quote_text *quoted, const uint8_t *wire, size_t size,
                        int expected, const struct buffer *text)
{
    for (size_t capacity = 1; write != NULL && capacity <= text->size + 1; capacity += text->size) {
        struct buffer out = {0};
        check(write_out(write, quoted, wire, size, capacity, &out) == expected);
        check(expected < 0 ||
              (out.size == text->size + 1 &&
               (text->size == 0 || memcmp(out.data + 1, text->data, text->size) == 0)));
        buffer_clear(&out);
        if (text->size == 0)
            break;
    }
}

/* With this way of quoting, a value whose text this is; `rc`: or why it is none. */
static void check_quoted(const struct type *type, quote_text *quote, const uint8_t *wire,
                         size_t size, int rc, const struct buffer *text)
{
    struct buffer quoted = {0}, expected = *text;
    if (rc == 0 && type->csv != CSV_PLAIN) {
        check(write_out(quote, quote, text->data, text->size, 1, &quoted) == 0);
        expected = (struct buffer){.data = quoted.data + 1, .size = quoted.size - 1};
    }
    check_write(type->csv == CSV_TEXT ? quote : type->write_csv, quote, wire, size, rc, &expected);
    buffer_clear(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t count;
    const struct type *type = type_all(&count);
    check(count < FUZZ_KINDS_MOST);
    type += data[0] % count;

    struct buffer text = {0}, json = {0};
    int rc = type->text(data + 1, size - 1, &text);
    check(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
    check(type_json(type, data + 1, size - 1, &json) == rc);
    if (rc == 0) {
        fuzz_taken[data[0] % count]++;
        check_text(type, &text);
        check_json(&json);
    }
    check_write(type->write_json, NULL, data + 1, size - 1, rc, &json);
    check_quoted(type, csv_text, data + 1, size - 1, rc, &text);
    check_quoted(type, tsv_text, data + 1, size - 1, rc, &text);
    buffer_clear(&text);
    buffer_clear(&json);
    return 0;
}
