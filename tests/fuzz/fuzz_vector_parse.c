/* What a user writes as vectors: byte 0 chooses the kind, byte 1 the dimensions, the rest is the
 * input. Whatever is taken is a value that its type can print. */
#include "codec/vector_parse.h"

#include "codec/vector_text.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static render_value *const renders[] = {vector_render, halfvec_render, sparsevec_render,
                                            bit_render};
    if (size < 2)
        return 0;
    struct vector_form form = {(enum vector_kind)(data[0] % 4), data[1] % 8};
    struct vector_batch batch;
    struct error error = {""};
    int rc = vector_parse(&form, data + 2, size - 2, &batch, &error);
    must(rc == 0 || (rc == -EINVAL && error.text[0] != '\0'));
    for (size_t i = 0; rc == 0 && i < batch.count; i++) {
        struct buffer text = {0};
        size_t length;
        const uint8_t *value = vector_batch_value(&batch, i, &length);
        must(renders[form.kind](value, length, &text) == 0);
        buffer_clear(&text);
    }
    must(rc < 0 || form.dims == 0 || batch.dims == form.dims);
    if (rc == 0)
        vector_batch_clear(&batch);
    return 0;
}
