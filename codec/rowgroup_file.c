/* A row group as the bytes of a cache file, and back. The layout is drawn in rowgroup.h. */
#include "codec/bytes.h"
#include "codec/compress.h"
#include "codec/rowgroup.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "runs are written as they stand in memory");

enum {
    MAGIC_SIZE = 8,
    CHECK_AT = MAGIC_SIZE,
    HEAD_AT = CHECK_AT + 8,
    ROWS_AT = HEAD_AT + 4,
    RUNS_AT = ROWS_AT + 4,
    CONTENT_AT = RUNS_AT + 4,
    SUM_AT = CONTENT_AT + 16,
    DIRECTORY_AT = SUM_AT + 8,
    BLOCK_ENTRY = 1 + 4 * 8,
    RUN_ENTRY = 4 + 2 * BLOCK_ENTRY,
    ALIGNMENT = 64
};

static const char magic[MAGIC_SIZE] = {'p', 'g', 'v', 'e', 'c', 'f', 's', 2};
static const uint8_t padding[ALIGNMENT];

static size_t head_size(int runs) { return DIRECTORY_AT + (size_t)runs * RUN_ENTRY; }

static size_t aligned(size_t size) { return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* Vectors do not shrink, and are read again and again: their bytes stay as they are. */
static bool worth_compressing(const struct schema *schema, int run)
{
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (column->part[PART_BINARY] == run)
            return column->type == NULL || column->type->extension == NULL;
    }
    return true;
}

static void add_piece(struct rowgroup_image *image, const void *bytes, size_t size)
{
    if (size > 0)
        image->pieces[image->count++] = (struct iovec){(void *)bytes, size};
    image->size += size;
}

/* `hash`: of the raw bytes, where it is known; else 0. */
static int add_block(struct rowgroup_image *image, const void *raw, size_t size, uint64_t hash,
                     bool try_zstd, uint8_t *entry)
{
    const void *stored = raw;
    size_t stored_size = size;
    bool compressed = false;
    if (try_zstd && size >= ALIGNMENT) {
        struct buffer *frame = &image->owned[image->owned_count++];
        int rc = compress(raw, size, frame);
        if (rc < 0)
            return rc;
        compressed = frame->size < size - size / 8;
        if (compressed) {
            stored = frame->data;
            stored_size = frame->size;
            hash = 0;
        } else {
            buffer_clear(frame);
        }
    }
    add_piece(image, padding, aligned(image->size) - image->size);
    entry[0] = compressed;
    store_le64(entry + 1, image->size);
    store_le64(entry + 9, stored_size);
    store_le64(entry + 17, size);
    store_le64(entry + 25, hash != 0 ? hash : hash128(stored, stored_size).low);
    add_piece(image, stored, stored_size);
    return 0;
}

static int add_run(struct rowgroup_image *image, const struct run *run, uint32_t rows,
                   bool try_zstd, uint8_t *entry)
{
    store_le32(entry, run->fixed);
    size_t sizes = run->sizes != NULL ? (size_t)rows * sizeof(int32_t) : 0;
    int rc = add_block(image, run->sizes, sizes, 0, true, entry + 4);
    return rc < 0 ? rc
                  : add_block(image, run->bytes, run->size, run->bytes_hash, try_zstd,
                              entry + 4 + BLOCK_ENTRY);
}

int rowgroup_encode(const struct rowgroup *group, const struct schema *schema,
                    struct rowgroup_image *out)
{
    size_t runs = (size_t)group->run_count + 1;
    struct rowgroup_image image = {.pieces = calloc(4 * runs + 1, sizeof *image.pieces),
                                   .owned = calloc(2 * runs + 1, sizeof *image.owned)};
    int rc = image.pieces == NULL || image.owned == NULL ? -ENOMEM : 0;
    if (rc == 0) {
        image.owned_count = 1;
        rc = buffer_reserve(&image.owned[0], head_size((int)runs));
    }
    if (rc < 0)
        goto out;
    uint8_t *head = image.owned[0].data;
    size_t size = head_size((int)runs);
    image.owned[0].size = size;
    add_piece(&image, head, size);
    for (size_t i = 0; rc == 0 && i < runs; i++) {
        bool last = i == runs - 1;
        rc =
            add_run(&image, last ? &group->row_ids : &group->runs[i], group->rows,
                    last || worth_compressing(schema, (int)i), head + DIRECTORY_AT + i * RUN_ENTRY);
    }
    memcpy(head, magic, sizeof magic);
    store_le32(head + HEAD_AT, (uint32_t)size);
    store_le32(head + ROWS_AT, group->rows);
    store_le32(head + RUNS_AT, (uint32_t)runs);
    store_le64(head + CONTENT_AT, group->content.high);
    store_le64(head + CONTENT_AT + 8, group->content.low);
    store_le64(head + SUM_AT, group->row_id_sum);
    store_le64(head + CHECK_AT, hash64(head + HEAD_AT, size - HEAD_AT));
out:
    if (rc < 0)
        rowgroup_image_clear(&image);
    else
        *out = image;
    return rc;
}

void rowgroup_image_clear(struct rowgroup_image *image)
{
    for (int i = 0; i < image->owned_count; i++)
        buffer_clear(&image->owned[i]);
    free(image->owned);
    free(image->pieces);
    *image = (struct rowgroup_image){0};
}

/* One block of the file as its raw bytes: where they stand, or unpacked into memory that the group
 * then owns. */
static int read_block(struct rowgroup *group, const uint8_t *file, size_t size,
                      const uint8_t *entry, const uint8_t **raw, size_t *raw_size)
{
    uint64_t offset = load_le64(entry + 1), stored = load_le64(entry + 9);
    uint64_t wanted = load_le64(entry + 17);
    if (entry[0] > 1 || offset > size || stored > size - offset || wanted > SIZE_MAX / 2 ||
        offset % ALIGNMENT != 0 || hash128(file + offset, stored).low != load_le64(entry + 25))
        return -EBADMSG;
    *raw_size = wanted;
    if (!entry[0]) {
        *raw = file + offset;
        return stored == wanted ? 0 : -EBADMSG;
    }
    struct buffer *unpacked = &group->memory[group->memory_count];
    int rc = buffer_reserve(unpacked, wanted);
    if (rc < 0)
        return rc;
    group->memory_count++;
    *raw = unpacked->data;
    return decompress(file + offset, stored, unpacked->data, wanted);
}

/* The sizes must add up to the bytes: run_next trusts them. */
static bool run_is_sound(const struct run *run, uint32_t rows, size_t sizes_bytes)
{
    if (run->fixed != RUN_VARIABLE)
        return sizes_bytes == 0 && run->fixed <= INT32_MAX &&
               (size_t)run->fixed * rows == run->size;
    if (sizes_bytes != (size_t)rows * sizeof(int32_t))
        return false;
    size_t sum = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (run->sizes[i] < -1)
            return false;
        sum += run->sizes[i] > 0 ? (size_t)run->sizes[i] : 0;
    }
    return sum == run->size;
}

static int read_run(struct rowgroup *group, const uint8_t *file, size_t size, const uint8_t *entry,
                    struct run *out)
{
    struct run run = {.fixed = load_le32(entry)};
    const uint8_t *sizes;
    size_t sizes_bytes;
    int rc = read_block(group, file, size, entry + 4, &sizes, &sizes_bytes);
    if (rc == 0)
        rc = read_block(group, file, size, entry + 4 + BLOCK_ENTRY, &run.bytes, &run.size);
    if (rc < 0)
        return rc;
    run.sizes = run.fixed == RUN_VARIABLE ? (const int32_t *)(const void *)sizes : NULL;
    if (!run_is_sound(&run, group->rows, sizes_bytes))
        return -EBADMSG;
    *out = run;
    return 0;
}

static bool head_is_sound(const uint8_t *file, size_t size, int runs)
{
    return size >= head_size(runs) && memcmp(file, magic, sizeof magic) == 0 &&
           load_le32(file + HEAD_AT) == head_size(runs) &&
           load_le32(file + RUNS_AT) == (uint32_t)runs &&
           load_le64(file + CHECK_AT) == hash64(file + HEAD_AT, head_size(runs) - HEAD_AT);
}

int rowgroup_decode(uint8_t *bytes, size_t size, const struct schema *schema, struct rowgroup **out)
{
    int parts = schema_parts(schema), runs = parts + 1;
    if (!head_is_sound(bytes, size, runs))
        return -EBADMSG;
    struct rowgroup *group = calloc(1, sizeof *group);
    if (group == NULL)
        return -ENOMEM;
    group->runs = calloc((size_t)runs, sizeof *group->runs);
    group->memory = calloc(2 * (size_t)runs + 1, sizeof *group->memory);
    int rc = group->runs == NULL || group->memory == NULL ? -ENOMEM : 0;
    group->rows = load_le32(bytes + ROWS_AT);
    group->run_count = parts;
    group->content =
        (struct hash128){load_le64(bytes + CONTENT_AT), load_le64(bytes + CONTENT_AT + 8)};
    group->row_id_sum = load_le64(bytes + SUM_AT);
    for (int i = 0; rc == 0 && i < runs; i++)
        rc = read_run(group, bytes, size, bytes + DIRECTORY_AT + (size_t)i * RUN_ENTRY,
                      i < parts ? &group->runs[i] : &group->row_ids);
    if (rc == 0 && schema->with_row_ids && group->rows > 0 && group->row_ids.fixed != 10)
        rc = -EBADMSG;
    if (rc < 0) {
        rowgroup_free(group);
        return rc;
    }
    group->memory[group->memory_count++] =
        (struct buffer){.data = bytes, .size = size, .capacity = size};
    *out = group;
    return 0;
}
