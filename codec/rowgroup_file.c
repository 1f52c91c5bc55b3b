/* A row group as the bytes of a cache file, and back. The layout is drawn in rowgroup.h. */
#include "codec/byte_planes.h"
#include "codec/bytes.h"
#include "codec/compress.h"
#include "codec/rowgroup.h"
#include "codec/vector_text.h"

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
    ALIGNMENT = 64,
    PLANES_MOST = 16
};

static const char magic[MAGIC_SIZE] = {'p', 'g', 'v', 'e', 'c', 'f', 's', 2};
static const uint8_t padding[ALIGNMENT];

static size_t head_size(int runs) { return DIRECTORY_AT + (size_t)runs * RUN_ENTRY; }

static size_t aligned(size_t size) { return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* Vectors and bit strings are not compressed: they hardly shrink, and searches read them in the
 * file. */
static bool worth_compressing(const struct schema *schema, int run)
{
    for (int i = 0; i < schema->column_count; i++) {
        const struct type *type = schema->columns[i].type;
        if (schema->columns[i].part[PART_BINARY] == run)
            return type == NULL || (type->extension == NULL && type->text != bit_render);
    }
    return true;
}

static void add_piece(struct rowgroup_image *image, const void *bytes, size_t size)
{
    if (size > 0)
        image->pieces[image->count++] = (struct iovec){(void *)bytes, size};
    image->size += size;
}

/* What is written to a block, or read from one. */
struct raw_block {
    const void *bytes;
    size_t size;
    uint64_t hash; /* of the bytes; 0: not known */
    size_t planes; /* zstd gets the bytes in so many planes; 0: it does not get them */
    bool sizes;    /* the sizes of a run, not its bytes */
};

static void add_to_each(const void *sizes, size_t count, uint32_t summand, uint8_t *out)
{
    for (size_t i = 0; i < count; i++)
        store_le32(out + 4 * i, load_le32((const uint8_t *)sizes + 4 * i) + summand);
}

static int pack(const struct raw_block *block, struct buffer *frame)
{
    if (block->planes == 1)
        return compress_block(block->bytes, block->size, frame);
    uint8_t *split = malloc(block->sizes ? 2 * block->size : block->size);
    if (split == NULL)
        return -ENOMEM;
    const uint8_t *bytes = block->bytes;
    if (block->sizes) {
        add_to_each(bytes, block->size / 4, 1, split + block->size);
        bytes = split + block->size;
    }
    byte_planes_split(bytes, block->size / block->planes, block->planes, split);
    int rc = compress_block(split, block->size, frame);
    free(split);
    return rc;
}

static int add_block(struct rowgroup_image *image, const struct raw_block *block, uint8_t *entry)
{
    const void *stored = block->bytes;
    size_t stored_size = block->size;
    uint64_t hash = block->hash;
    bool packed = false;
    if (block->planes > 0 && block->size >= ALIGNMENT) {
        struct buffer *frame = &image->owned[image->owned_count++];
        int rc = pack(block, frame);
        if (rc < 0)
            return rc;
        packed = frame->size < block->size - block->size / 8;
        if (packed) {
            stored = frame->data;
            stored_size = frame->size;
            hash = 0;
        } else {
            buffer_clear(frame);
        }
    }
    add_piece(image, padding, aligned(image->size) - image->size);
    entry[0] = packed ? (uint8_t)block->planes : 0;
    store_le64(entry + 1, image->size);
    store_le64(entry + 9, stored_size);
    store_le64(entry + 17, block->size);
    store_le64(entry + 25, hash != 0 ? hash : hash128(stored, stored_size).low);
    add_piece(image, stored, stored_size);
    return 0;
}

/* The size of all values that are not NULL, if it is the same and small; else 1. */
static size_t value_size(const struct run *run, uint32_t rows)
{
    int64_t size = run->sizes == NULL ? (int64_t)run->fixed : -1;
    for (uint32_t i = 0; run->sizes != NULL && i < rows; i++) {
        if (size < 0)
            size = run->sizes[i];
        else if (run->sizes[i] >= 0 && run->sizes[i] != size)
            return 1;
    }
    return size >= 1 && size <= PLANES_MOST ? (size_t)size : 1;
}

enum zstd_use {
    ZSTD_NEVER,
    ZSTD_NUMBERS, /* for values of one small size */
    ZSTD_ALL
};

static int add_run(struct rowgroup_image *image, const struct run *run, uint32_t rows,
                   enum zstd_use use, uint8_t *entry)
{
    size_t planes = use == ZSTD_NEVER ? 0 : value_size(run, rows);
    if (use == ZSTD_NUMBERS && planes == 1)
        planes = 0;
    struct raw_block sizes = {.bytes = run->sizes, .planes = 4, .sizes = true};
    struct raw_block bytes = {
        .bytes = run->bytes, .size = run->size, .hash = run->bytes_hash, .planes = planes};
    if (run->sizes != NULL)
        sizes.size = (size_t)rows * sizeof(int32_t);
    store_le32(entry, run->fixed);
    int rc = add_block(image, &sizes, entry + 4);
    return rc < 0 ? rc : add_block(image, &bytes, entry + 4 + BLOCK_ENTRY);
}

int rowgroup_encode(const struct rowgroup *group, const struct schema *schema, bool small,
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
        enum zstd_use use = !last && !worth_compressing(schema, (int)i) ? ZSTD_NEVER
                            : small                                     ? ZSTD_ALL
                                                                        : ZSTD_NUMBERS;
        rc = add_run(&image, last ? &group->row_ids : &group->runs[i], group->rows, use,
                     head + DIRECTORY_AT + i * RUN_ENTRY);
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

uint64_t rowgroup_file_most(const struct schema *schema, uint32_t rows, uint64_t bytes)
{
    int runs = schema_parts(schema) + 1;
    uint64_t of_sizes = (uint64_t)runs * rows * sizeof(int32_t), of_ids = (uint64_t)rows * 10;
    return head_size(runs) + (uint64_t)runs * 2 * ALIGNMENT + of_sizes + of_ids + bytes;
}

void rowgroup_image_clear(struct rowgroup_image *image)
{
    for (int i = 0; i < image->owned_count; i++)
        buffer_clear(&image->owned[i]);
    free(image->owned);
    free(image->pieces);
    *image = (struct rowgroup_image){0};
}

static int unpack(const uint8_t *frame, size_t frame_size, size_t planes, bool sizes, uint8_t *raw,
                  size_t size)
{
    if (planes == 1)
        return decompress(frame, frame_size, raw, size);
    if (size % planes != 0)
        return -EBADMSG;
    uint8_t *split = malloc(size + 1);
    if (split == NULL)
        return -ENOMEM;
    int rc = decompress(frame, frame_size, split, size);
    if (rc == 0)
        byte_planes_join(split, size / planes, planes, raw);
    free(split);
    if (rc == 0 && sizes)
        add_to_each(raw, size / 4, UINT32_MAX, raw);
    return rc;
}

/* Reads the block that the directory has at `entry`: its bytes stand in the file, or are unpacked
 * into `memory`. In `block` the caller says whether it is of sizes, and how many bytes it may have
 * at most. */
static int read_block(const uint8_t *file, size_t size, const uint8_t *entry, struct buffer *memory,
                      struct raw_block *block)
{
    uint64_t offset = load_le64(entry + 1), stored = load_le64(entry + 9);
    uint64_t wanted = load_le64(entry + 17);
    uint8_t planes = entry[0];
    if (planes > PLANES_MOST || offset > size || stored > size - offset || wanted > block->size ||
        offset % ALIGNMENT != 0 || hash128(file + offset, stored).low != load_le64(entry + 25))
        return -EBADMSG;
    block->size = wanted;
    block->bytes = file + offset;
    if (planes == 0)
        return stored == wanted ? 0 : -EBADMSG;
    int rc = buffer_reserve(memory, wanted);
    if (rc < 0)
        return rc;
    block->bytes = memory->data;
    return unpack(file + offset, stored, planes, block->sizes && planes == 4, memory->data, wanted);
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

static int read_run(const uint8_t *file, size_t size, int number, uint32_t rows,
                    struct buffer memory[2], struct run *out)
{
    const uint8_t *entry = file + DIRECTORY_AT + (size_t)number * RUN_ENTRY;
    struct run run = {.fixed = load_le32(entry)};
    struct raw_block sizes = {.sizes = true, .size = sizeof(int32_t) * (size_t)rows};
    struct raw_block bytes = {.size = ROWGROUP_BYTES_MOST};
    int rc = read_block(file, size, entry + 4, &memory[0], &sizes);
    if (rc == 0)
        rc = read_block(file, size, entry + 4 + BLOCK_ENTRY, &memory[1], &bytes);
    if (rc < 0)
        return rc;
    run.bytes = bytes.bytes;
    run.size = bytes.size;
    run.sizes = run.fixed == RUN_VARIABLE ? sizes.bytes : NULL;
    if (!run_is_sound(&run, rows, sizes.size))
        return -EBADMSG;
    *out = run;
    return 0;
}

static bool head_is_sound(const uint8_t *file, size_t size, int runs)
{
    return size >= head_size(runs) && memcmp(file, magic, sizeof magic) == 0 &&
           load_le32(file + HEAD_AT) == head_size(runs) &&
           load_le32(file + ROWS_AT) <= ROWGROUP_ROWS_MOST &&
           load_le32(file + RUNS_AT) == (uint32_t)runs &&
           load_le64(file + CHECK_AT) == hash64(file + HEAD_AT, head_size(runs) - HEAD_AT);
}

int rowgroup_file_head(const uint8_t *file, size_t size, const struct schema *schema,
                       struct rowgroup_head *out)
{
    if (!head_is_sound(file, size, schema_parts(schema) + 1))
        return -EBADMSG;
    *out = (struct rowgroup_head){
        .rows = load_le32(file + ROWS_AT),
        .runs = schema_parts(schema),
        .content = {load_le64(file + CONTENT_AT), load_le64(file + CONTENT_AT + 8)},
        .row_id_sum = load_le64(file + SUM_AT)};
    return 0;
}

void rowgroup_file_place(const uint8_t *file, int number, uint64_t *offset, uint64_t *size)
{
    const uint8_t *sizes = file + DIRECTORY_AT + (size_t)number * RUN_ENTRY + 4;
    const uint8_t *bytes = sizes + BLOCK_ENTRY;
    uint64_t end = load_le64(bytes + 1) + load_le64(bytes + 9);
    *offset = load_le64(sizes + 1);
    *size = end > *offset ? end - *offset : 0;
}

int rowgroup_file_run(const uint8_t *file, size_t size, const struct rowgroup_head *head,
                      int number, struct buffer memory[2], struct run *out)
{
    memory[0] = memory[1] = (struct buffer){0};
    int rc = read_run(file, size, number, head->rows, memory, out);
    if (rc == 0 && number == head->runs && out->size > 0 && out->fixed != 10)
        rc = -EBADMSG;
    if (rc < 0) {
        buffer_clear(&memory[0]);
        buffer_clear(&memory[1]);
    }
    return rc;
}

/* All of `runs` runs, the last one the row ids'. */
static int new_group(const struct rowgroup_head *head, int runs, struct rowgroup **out)
{
    struct rowgroup *group = calloc(1, sizeof *group);
    if (group == NULL)
        return -ENOMEM;
    group->runs = calloc((size_t)runs, sizeof *group->runs);
    group->memory = calloc(2 * (size_t)runs + 1, sizeof *group->memory);
    group->rows = head->rows;
    group->run_count = runs - 1;
    group->content = head->content;
    group->row_id_sum = head->row_id_sum;
    if (group->runs == NULL || group->memory == NULL) {
        rowgroup_free(group);
        return -ENOMEM;
    }
    *out = group;
    return 0;
}

int rowgroup_file_choose(const uint8_t *file, size_t size, const struct rowgroup_head *head,
                         const int *parts, int count, struct rowgroup **out)
{
    struct rowgroup *group;
    int rc = new_group(head, count + 1, &group);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i <= count; i++) {
        rc = rowgroup_file_run(file, size, head, i < count ? parts[i] : head->runs,
                               group->memory + group->memory_count,
                               i < count ? &group->runs[i] : &group->row_ids);
        group->memory_count += 2;
    }
    if (rc == 0)
        rc = rowgroup_hash(group);
    if (rc < 0)
        rowgroup_free(group);
    else
        *out = group;
    return rc;
}

int rowgroup_file_parts(const uint8_t *file, size_t size, const struct rowgroup_head *head,
                        const int *parts, int count, struct rowgroup **out)
{
    struct rowgroup *group;
    int rc = new_group(head, head->runs + 1, &group);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < count; i++) {
        rc = rowgroup_file_run(file, size, head, parts[i], group->memory + group->memory_count,
                               &group->runs[parts[i]]);
        group->memory_count += 2;
    }
    if (rc < 0)
        rowgroup_free(group);
    else
        *out = group;
    return rc;
}

int rowgroup_decode(uint8_t *bytes, size_t size, const struct schema *schema, struct rowgroup **out)
{
    struct rowgroup_head head;
    int rc = rowgroup_file_head(bytes, size, schema, &head);
    if (rc < 0)
        return rc;
    int runs = head.runs + 1;
    struct rowgroup *group;
    rc = new_group(&head, runs, &group);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < runs; i++) {
        rc = read_run(bytes, size, i, head.rows, group->memory + group->memory_count,
                      i < head.runs ? &group->runs[i] : &group->row_ids);
        group->memory_count += 2;
    }
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
