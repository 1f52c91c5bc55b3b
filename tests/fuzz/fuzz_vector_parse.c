/* What a user writes as vectors: byte 0 chooses the kind, byte 1 the dimensions, the rest is the
 * input. Whatever is taken is a value that its type can print. */
#include "codec/vector_parse.h"

#include "codec/vector_text.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { RAW = 4, NPY, KINDS };
unsigned long fuzz_taken[FUZZ_KINDS_MOST];

const char *fuzz_kind(unsigned kind)
{
    static const char *const kinds[] = {"vector", "halfvec", "sparsevec", "bits", "raw", "npy"};
    return kind < KINDS ? kinds[kind] : NULL;
}

static unsigned kind_of(enum vector_kind kind, const uint8_t *bytes, size_t size)
{
    if (size > 6 && memcmp(bytes, "\x93NUMPY", 6) == 0)
        return NPY;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != '\n' && (bytes[i] < ' ' || bytes[i] > '~'))
            return RAW;
    return kind;
}

static void put_text(fuzz_put *put, uint8_t kind, uint8_t dims, const char *text)
{
    const uint8_t choice[] = {kind, dims};
    fuzz_put_behind(put, choice, sizeof choice, text, strlen(text));
}

static void put_npy(fuzz_put *put, uint8_t kind, const char *type, const char *shape, size_t bytes)
{
    uint8_t file[300] = "\x93NUMPY\1";
    int n = snprintf((char *)file + 10, 200,
                     "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", type, shape);
    const uint8_t choice[] = {kind, 0};
    file[8] = (uint8_t)n;
    fuzz_put_behind(put, choice, sizeof choice, file, 10 + (size_t)n + bytes);
}

void fuzz_seeds(fuzz_put *put)
{
    static const uint8_t raw[16] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x80, 0xbf};
    for (uint8_t dims = 0; dims < 3; dims += 2) {
        put_text(put, VECTOR_FLOAT32, dims, "[1,2.5e-1]");
        put_text(put, VECTOR_FLOAT32, dims, " [ 1 , -.3 ]\n[3,4]\n");
        put_text(put, VECTOR_FLOAT16, dims, "[1,65504]");
        put_text(put, VECTOR_SPARSE, dims, "{1:0.5,2:-7}/2");
        put_text(put, VECTOR_BIT, dims, "01\n11\n");
    }
    for (uint8_t kind = VECTOR_FLOAT32; kind <= VECTOR_FLOAT16; kind++) {
        fuzz_put_behind(put, (const uint8_t[]){kind, 0}, 2, raw, sizeof raw);
        fuzz_put_behind(put, (const uint8_t[]){kind, 2}, 2, raw, sizeof raw);
        put_npy(put, kind, "<f4", "(3,)", 12);
        put_npy(put, kind, "<f8", "(2, 3)", 48);
    }
}

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
    struct vector_form form = {.kind = (enum vector_kind)(data[0] % 4), .dims = data[1] % 8};
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
    if (rc == 0) {
        fuzz_taken[kind_of(form.kind, data + 2, size - 2)]++;
        vector_batch_clear(&batch);
    }
    return 0;
}
