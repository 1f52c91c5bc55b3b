#include "codec/vector_text.h"

#include "codec/bytes.h"
#include "codec/float_text.h"
#include "codec/half_text.h"
#include "codec/number_text.h"
#include "codec/vector_limits.h"

#include <errno.h>

static inline bool is_finite(uint32_t bits) { return (bits & 0x7f800000) != 0x7f800000; }

static char *write_words(char *at, const char *text)
{
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

/* vector and halfvec begin with int16 dim, int16 0. */
static int check_dense(const uint8_t *wire, size_t size, size_t element_size, size_t *dim)
{
    if (size < 4)
        return -EBADMSG;
    size_t n = load_be16(wire);
    if (n < 1 || n > VECTOR_DIMS_MOST || load_be16(wire + 2) != 0 || size != 4 + n * element_size)
        return -EBADMSG;
    *dim = n;
    return 0;
}

/* Puts brackets around n bytes, which stand behind the place of the first and end with a comma. */
static int close_array(char *start, size_t n, struct buffer *out)
{
    start[0] = '[';
    start[n] = ']';
    out->size += n + 1;
    return 0;
}

int vector_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    size_t dim;
    int rc = check_dense(wire, size, 4, &dim);
    if (rc == 0)
        rc = buffer_reserve(out, 1 + FLOAT4_TEXTS_MAX(dim));
    if (rc != 0)
        return rc;
    char *start = (char *)out->data + out->size;
    size_t n = float4_texts(wire + 4, dim, start + 1, NULL);
    return n == 0 ? -EBADMSG : close_array(start, n, out);
}

int halfvec_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    size_t dim;
    int rc = check_dense(wire, size, 2, &dim);
    if (rc == 0)
        rc = buffer_reserve(out, 1 + FLOAT4_TEXTS_MAX(dim));
    if (rc != 0)
        return rc;
    char *start = (char *)out->data + out->size;
    size_t n = half_texts(wire + 4, dim, start + 1);
    return n == 0 ? -EBADMSG : close_array(start, n, out);
}

struct sparse {
    const uint8_t *indices, *values; /* big-endian */
    size_t nnz;
    uint32_t dim;
};

static int check_sparse(const uint8_t *wire, size_t size, struct sparse *sparse)
{
    if (size < 12)
        return -EBADMSG;
    uint32_t dim = load_be32(wire), nnz = load_be32(wire + 4);
    if (dim < 1 || dim > SPARSEVEC_DIMS_MOST || nnz > SPARSEVEC_VALUES_MOST || nnz > dim)
        return -EBADMSG;
    if (load_be32(wire + 8) != 0 || size != 12 + (size_t)nnz * 8)
        return -EBADMSG;
    const uint8_t *indices = wire + 12, *values = indices + (size_t)nnz * 4;
    for (size_t i = 0; i < nnz; i++) {
        uint32_t index = load_be32(indices + 4 * i), bits = load_be32(values + 4 * i);
        if (index >= dim || (i > 0 && index <= load_be32(indices + 4 * i - 4)))
            return -EBADMSG;
        if (!is_finite(bits) || bits << 1 == 0)
            return -EBADMSG;
    }
    *sparse = (struct sparse){.indices = indices, .values = values, .nnz = nnz, .dim = dim};
    return 0;
}

#define SPARSE_ELEMENT_MAX (INTEGER_TEXT_MAX + 1 + FLOAT4_TEXT_MAX)
#define SPARSE_FRAME_MAX (64 + FLOAT4_TEXTS_MAX(0)) /* for all but the elements */
#define SPARSE_BATCH 256U

static inline char *write_index(const struct sparse *sparse, size_t i, char *at)
{
    return at + integer_text((int64_t)load_be32(sparse->indices + 4 * i) + 1, at);
}

/* Many values at once become text, aside: where each goes depends on the indices before it. */
static char *write_elements(const struct sparse *sparse, char *at)
{
    char texts[FLOAT4_TEXTS_MAX(SPARSE_BATCH)];
    uint8_t lengths[SPARSE_BATCH];
    for (size_t done = 0; done < sparse->nnz; done += SPARSE_BATCH) {
        size_t count = sparse->nnz - done < SPARSE_BATCH ? sparse->nnz - done : SPARSE_BATCH;
        float4_texts(sparse->values + 4 * done, count, texts, lengths);
        const char *text = texts;
        for (size_t i = 0; i < count; i++) {
            at = write_index(sparse, done + i, at);
            *at++ = ':';
            memcpy(at, text, FLOAT4_TEXT_MAX);
            at += lengths[i];
            text += lengths[i];
        }
    }
    return at;
}

int sparsevec_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    struct sparse sparse;
    int rc = check_sparse(wire, size, &sparse);
    if (rc == 0)
        rc = buffer_reserve(out, SPARSE_FRAME_MAX + sparse.nnz * SPARSE_ELEMENT_MAX);
    if (rc != 0)
        return rc;
    char *start = (char *)out->data + out->size, *at = start;
    *at++ = '{';
    at = write_elements(&sparse, at);
    at = write_words(sparse.nnz > 0 ? at - 1 : at, "}/");
    at += integer_text(sparse.dim, at);
    out->size += (size_t)(at - start);
    return 0;
}

int sparsevec_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    struct sparse sparse;
    int rc = check_sparse(wire, size, &sparse);
    if (rc == 0)
        rc = buffer_reserve(out, SPARSE_FRAME_MAX + sparse.nnz * SPARSE_ELEMENT_MAX);
    if (rc != 0)
        return rc;
    char *start = (char *)out->data + out->size, *at = start;
    at = write_words(at, "{\"dim\":");
    at += integer_text(sparse.dim, at);
    at = write_words(at, ",\"indices\":[");
    for (size_t i = 0; i < sparse.nnz; i++) {
        at = write_index(&sparse, i, at);
        *at++ = ',';
    }
    at = write_words(sparse.nnz > 0 ? at - 1 : at, "],\"values\":[");
    at += float4_texts(sparse.values, sparse.nnz, at, NULL);
    at = write_words(sparse.nnz > 0 ? at - 1 : at, "]}");
    out->size += (size_t)(at - start);
    return 0;
}

/* Eight bits as text, the highest first. The product has eight copies of the byte, nine bits apart:
 * so bit 7 - j lies at byte j of the result. */
static inline void write_bits(char *at, uint8_t byte)
{
    uint64_t spread = (byte * UINT64_C(0x8040201008040201) >> 7) & UINT64_C(0x0101010101010101);
    store_le64(at, UINT64_C(0x3030303030303030) | spread);
}

static int append_bits(const uint8_t *wire, size_t size, bool quoted, struct buffer *out)
{
    if (size < 4)
        return -EBADMSG;
    uint64_t bits = load_be32(wire), bytes = (bits + 7) / 8;
    if (bits > INT32_MAX || size - 4 != bytes)
        return -EBADMSG;
    int rc = buffer_reserve(out, 8 * bytes + 2);
    if (rc != 0)
        return rc;
    char *start = (char *)out->data + out->size, *at = start;
    if (quoted)
        *at++ = '"';
    for (uint64_t i = 0; i < bytes; i++)
        write_bits(at + 8 * i, wire[4 + i]);
    at += bits;
    if (quoted)
        *at++ = '"';
    out->size += (size_t)(at - start);
    return 0;
}

int bit_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_bits(wire, size, false, out);
}

int bit_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_bits(wire, size, true, out);
}
