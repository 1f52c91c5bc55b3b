/* The first byte chooses the type (modulo their number), the rest is a value's wire bytes. */
#include "codec/type.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(const struct type *type, const struct buffer *text)
{
    if (type->csv == CSV_ANY)
        return;
    check(text->size > 0 && !(text->size == 2 && memcmp(text->data, "\\.", 2) == 0));
    for (size_t i = 0; i < text->size; i++) {
        check(text->data[i] != '"' && text->data[i] != '\n' && text->data[i] != '\r');
        check(type->csv == CSV_LIST || text->data[i] != ',');
    }
}

static void check_json(const struct buffer *json)
{
    for (size_t i = 0; i < json->size; i++)
        check(json->data[i] != '\n' && json->data[i] != '\r');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t count;
    const struct type *type = type_all(&count);
    type += data[0] % count;

    struct buffer text = {0}, json = {0};
    int rc = type->text(data + 1, size - 1, &text);
    check(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
    check(type->json(data + 1, size - 1, &json) == rc);
    if (rc == 0) {
        check_text(type, &text);
        check_json(&json);
    }
    buffer_clear(&text);
    buffer_clear(&json);
    return 0;
}
