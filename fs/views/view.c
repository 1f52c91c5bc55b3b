#include "fs/views/view.h"

#include "codec/bytes.h"
#include "fs/views/strips.h"

#include <errno.h>

/* The part of a piece that the range meets. */
struct overlap {
    uint64_t from; /* offset in the piece */
    uint64_t size;
};

static struct overlap meet(uint64_t start, uint64_t size, uint64_t offset, uint64_t end)
{
    uint64_t first = offset > start ? offset - start : 0;
    uint64_t last = end < start + size ? (end > start ? end - start : 0) : size;
    return (struct overlap){first, last > first ? last - first : 0};
}

size_t view_group_at(const struct face *face, size_t count, uint64_t offset)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (face->offsets[middle + 1] > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void view_bytes_clear(struct body_cache *cache, struct view_bytes *bytes)
{
    for (int i = 0; i < bytes->count; i++)
        if (bytes->bodies[i] != NULL)
            body_release(cache, bytes->bodies[i], bytes->pieces[i].iov_len);
    for (int i = 0; i < bytes->count; i++)
        buffer_clear(&bytes->counted[i]);
    buffer_clear(&bytes->gathered);
    *bytes = (struct view_bytes){0};
}

/* Copies all pieces into one, which makes room for more. */
static int gather(struct body_cache *cache, struct view_bytes *bytes)
{
    struct buffer all = {0};
    int rc = buffer_reserve(&all, 2 * bytes->size);
    for (int i = 0; rc == 0 && i < bytes->count; i++)
        rc = buffer_append(&all, bytes->pieces[i].iov_base, bytes->pieces[i].iov_len);
    if (rc < 0) {
        buffer_clear(&all);
        return rc;
    }
    view_bytes_clear(cache, bytes);
    *bytes = (struct view_bytes){
        .pieces = {{all.data, all.size}}, .count = 1, .size = all.size, .gathered = all};
    return 0;
}

/* Adds a piece; takes the body. `body` NULL: the bytes last as long as the snapshot. */
static int add_piece(struct body_cache *cache, struct view_bytes *bytes, const struct buffer *from,
                     struct overlap part, struct body *body)
{
    size_t size = part.size;
    int rc = size > 0 && bytes->count == VIEW_PIECES ? gather(cache, bytes) : 0;
    if (rc < 0 || size == 0) {
        if (body != NULL)
            body_release(cache, body, 0);
        return rc;
    }
    bytes->pieces[bytes->count] = (struct iovec){from->data + part.from, size};
    bytes->bodies[bytes->count++] = body;
    bytes->size += size;
    return 0;
}

/* The part of a body of numbers of 8 bytes, with `base` added to each. */
static int count_from(uint64_t base, const struct buffer *body, struct overlap part,
                      struct buffer *out)
{
    uint64_t end = part.from + part.size;
    int rc = buffer_reserve(out, part.size);
    for (uint64_t at = part.from - part.from % 8; rc == 0 && at < end; at += 8) {
        uint8_t number[8];
        uint64_t first = at < part.from ? part.from - at : 0, last = end - at < 8 ? end - at : 8;
        store_le64(number, load_le64(body->data + at) + base);
        memcpy(out->data + out->size, number + first, last - first);
        out->size += last - first;
    }
    return rc;
}

/* Takes the body. */
static int add_counted(struct body_cache *cache, struct view_bytes *bytes, uint64_t base,
                       struct overlap part, struct body *body)
{
    struct buffer counted = {0};
    const struct overlap all = {.size = part.size};
    int rc = count_from(base, body_bytes(body), part, &counted);
    body_release(cache, body, part.size);
    if (rc == 0)
        rc = add_piece(cache, bytes, &counted, all, NULL);
    if (rc < 0)
        buffer_clear(&counted);
    else
        bytes->counted[bytes->count - 1] = counted;
    return rc;
}

/* Takes the body. */
static int add_from(struct body_cache *cache, const struct view *view, size_t group,
                    struct overlap part, struct body *body, struct view_bytes *out)
{
    if (view->rendition.format->counts)
        return add_counted(cache, out, view_face(view)->counts[group - view->first], part, body);
    return add_piece(cache, out, body_bytes(body), part, body);
}

static int add_body(struct body_cache *cache, const struct view *view, size_t group,
                    struct overlap part, bool patient, struct view_bytes *out, struct error *error)
{
    struct body *body;
    body_ahead(cache, view, group + 1);
    int rc =
        patient ? body_get(cache, view, group, &body, error) : body_try(cache, view, group, &body);
    return rc < 0 ? rc : add_from(cache, view, group, part, body, out);
}

static int add_zeros(struct body_cache *cache, uint64_t size, struct view_bytes *out)
{
    static uint8_t zeros[4096];
    static const struct buffer page = {.data = zeros, .size = sizeof zeros};
    int rc = 0;
    for (uint64_t n; rc == 0 && size > 0; size -= n) {
        n = size < page.size ? size : page.size;
        rc = add_piece(cache, out, &page, (struct overlap){.size = n}, NULL);
    }
    return rc;
}

static int add_strips(struct body_cache *cache, const struct view *view, size_t group,
                      struct overlap part, const struct strips *strips, bool patient,
                      struct view_bytes *out, struct error *error)
{
    uint64_t at = part.from, end = part.from + part.size;
    int rc = 0;
    for (int i = 0; rc == 0 && i < strips->count; i++) {
        const struct format_strip *place = &strips->list[i].place;
        struct overlap met = meet(place->offset, place->size, part.from, end);
        struct body *body;
        rc = add_zeros(cache, place->offset + met.from - at, out);
        if (rc == 0)
            rc = strip_get(cache, view, group, &strips->list[i], patient, &body, error);
        if (rc == 0)
            rc = add_piece(cache, out, body_bytes(body), met, body);
        at = place->offset + met.from + met.size;
    }
    return rc == 0 ? add_zeros(cache, end - at, out) : rc;
}

static int add_group(struct body_cache *cache, const struct view *view, size_t group,
                     struct overlap part, bool patient, struct view_bytes *out, struct error *error)
{
    struct strips strips;
    struct body *body;
    if (strips_of(view, group, part.from, part.size, &strips) == 0)
        return add_body(cache, view, group, part, patient, out, error);
    int rc = body_try(cache, view, group, &body) == 0
                 ? add_from(cache, view, group, part, body, out)
                 : add_strips(cache, view, group, part, &strips, patient, out, error);
    strips_clear(&strips);
    return rc;
}

int view_read(struct body_cache *cache, const struct view *view, uint64_t offset, uint64_t size,
              bool patient, struct view_bytes *out, struct error *error)
{
    const struct face *face = view_face(view);
    uint64_t end = offset >= face->size         ? offset
                   : size > face->size - offset ? face->size
                                                : offset + size;
    struct overlap part = meet(0, face->head.size, offset, end);
    int rc = add_piece(cache, out, &face->head, part, NULL);
    size_t count = view_end(view) - view->first, i = view_group_at(face, count, offset);
    for (; rc == 0 && i < count && face->offsets[i] < end; i++) {
        part = meet(face->offsets[i], face->offsets[i + 1] - face->offsets[i], offset, end);
        if (part.size > 0)
            rc = add_group(cache, view, view->first + i, part, patient, out, error);
    }
    part = meet(face->offsets[count], face->tail.size, offset, end);
    return rc < 0 ? rc : add_piece(cache, out, &face->tail, part, NULL);
}

static int hash_groups(struct body_cache *cache, const struct view *view, const atomic_bool *stop,
                       struct hash_stream *hash, struct error *error)
{
    for (size_t i = view->first; i < view_end(view); i++) {
        struct body *body;
        if (*stop)
            return -EINTR;
        body_ahead(cache, view, i + 1);
        int rc = body_get(cache, view, i, &body, error);
        if (rc < 0)
            return rc;
        hash_stream_add(hash, body_bytes(body)->data, body_bytes(body)->size);
        body_release(cache, body, body_bytes(body)->size);
    }
    return 0;
}

static int hash_all(struct body_cache *cache, const struct view *view, const struct face *face,
                    const atomic_bool *stop, struct hash128 *out, struct error *error)
{
    struct hash_stream *hash = hash_stream_new();
    if (hash == NULL)
        return -ENOMEM;
    hash_stream_add(hash, face->head.data, face->head.size);
    int rc = hash_groups(cache, view, stop, hash, error);
    hash_stream_add(hash, face->tail.data, face->tail.size);
    if (rc == 0)
        *out = hash_stream_value(hash);
    hash_stream_free(hash);
    return rc;
}

int view_hash(struct body_cache *cache, const struct view *view, const atomic_bool *stop,
              struct hash128 *out, struct error *error)
{
    const struct face *face = view_face(view);
    struct hash128 hash = face->hash;
    if (!face->hashed) {
        int rc = hash_all(cache, view, face, stop, &hash, error);
        if (rc == 0)
            rc = view_hashed(view, hash);
        if (rc < 0)
            return rc;
    }
    *out = hash;
    return 0;
}
