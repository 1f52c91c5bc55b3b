/* A row group: an immutable run of rows, kept by part (schema.h).
 *
 * In memory each part is a struct run: the values' bytes one behind another, and their sizes. A
 * group also has each row's (ctid, xmin), if its source has any, and a hash of its contents (of the
 * parts, without the row ids).
 *
 * In the cache it is one file, little-endian:
 *
 *   head     "pgvecfs\2" | u64 hash64 of the rest of this head | u32 size of this head | u32 rows
 *            | u32 runs | u64 u64 content hash | u64 row_id_sum
 *            then for each run, the row ids last:
 *            u32 fixed | block of its sizes | block of its bytes
 *
 *   block    u8 planes | u64 offset | u64 stored size | u64 raw size
 *            | u64 low half of hash128 of what is stored
 *
 *   behind   what the blocks store, each at a multiple of 64. Vectors and bit strings are stored
 *            raw (planes 0), others by zstd if that saves an eighth: planes 1 are the raw bytes;
 *            planes n are, of values of n bytes each, the first byte of all, then the second of
 *            all, … Sizes in 4 planes have one added, so that NULL is 0.
 *
 * Threads: a finished group may be read by all.
 * Errors: -EBADMSG bytes that are not a row group, or whose checksum does not hold; -ENOMEM.
 */
#ifndef CODEC_ROWGROUP_H
#define CODEC_ROWGROUP_H

#include "codec/hash.h"
#include "codec/schema.h"

#include <sys/uio.h>

#define RUN_VARIABLE UINT32_MAX

/* No group has more rows, nor more bytes: it ends after a few MiB, or is one row, which the server
 * sends in one message of 1 GiB at most. */
enum { ROWGROUP_ROWS_MOST = 1 << 20 };
#define ROWGROUP_BYTES_MOST (UINT64_C(1) << 32)

struct run {
    const uint8_t *bytes;
    size_t size;
    uint32_t fixed;       /* the size of every value, if none is NULL; else RUN_VARIABLE */
    uint64_t bytes_hash;  /* low half of hash128 of the bytes; 0: not computed */
    const int32_t *sizes; /* of each value, -1: it is NULL; no array if the size is fixed */
};

struct row_id {
    uint32_t block, xmin;
    uint16_t offset;
};

struct rowgroup {
    uint32_t rows;
    int run_count;
    struct run *runs; /* one for each part */
    /* 10 bytes a row: u32 block, u32 xmin, u16 offset, little-endian. Or none: size 0. */
    struct run row_ids;
    struct hash128 content;
    uint64_t row_id_sum;   /* row_id_sum of the row ids (row_id.h) */
    struct buffer *memory; /* what the runs point into */
    int memory_count;
};

/* Collecting rows. */
struct rowgroup_builder;

/* Borrows the schema. */
MUST_CHECK int rowgroup_builder_new(const struct schema *schema, struct rowgroup_builder **out);

/* Number of fields of a COPY row for this schema. */
int rowgroup_fields(const struct schema *schema);

/* Adds a tuple that copy_stream has handed out. -EBADMSG: its fields do not fit the schema. After
 * an error the builder is only good for being freed. */
MUST_CHECK int rowgroup_builder_add(struct rowgroup_builder *builder, const uint8_t *tuple,
                                    size_t size, struct error *error);

uint32_t rowgroup_builder_rows(const struct rowgroup_builder *builder);
size_t rowgroup_builder_bytes(const struct rowgroup_builder *builder);

/* The rows so far as a group; the builder is then empty and may be used again. */
MUST_CHECK int rowgroup_builder_finish(struct rowgroup_builder *builder, struct rowgroup **out);
void rowgroup_builder_free(struct rowgroup_builder *builder);

/* Computes the content hash of the runs, which are there: as a builder's group of these rows has it. */
MUST_CHECK int rowgroup_hash(struct rowgroup *group);

/* The bytes of a file, in pieces that stand one behind another. */
struct rowgroup_image {
    struct iovec *pieces; /* borrow from the group and from `owned` */
    int count;
    size_t size;
    struct buffer *owned;
    int owned_count;
};
/* `small`: text is compressed, too, which costs more than all other work on it. */
MUST_CHECK int rowgroup_encode(const struct rowgroup *group, const struct schema *schema,
                               bool small, struct rowgroup_image *out);
void rowgroup_image_clear(struct rowgroup_image *image);

/* The most that the file of a group can have: of so many rows, and `bytes` bytes in all parts. */
uint64_t rowgroup_file_most(const struct schema *schema, uint32_t rows, uint64_t bytes);

/* On success it takes `bytes` (from malloc): the group's raw runs point into them. */
MUST_CHECK int rowgroup_decode(uint8_t *bytes, size_t size, const struct schema *schema,
                               struct rowgroup **out);

void rowgroup_free(struct rowgroup *group);

/* The same file read run by run, where it is mapped. */
struct rowgroup_head {
    uint32_t rows;
    int runs; /* without the row ids, whose number this is */
    struct hash128 content;
    uint64_t row_id_sum;
};
MUST_CHECK int rowgroup_file_head(const uint8_t *file, size_t size, const struct schema *schema,
                                  struct rowgroup_head *out);

/* Where the file has a run, by the file's head: it may say anything, and lie behind its end. */
void rowgroup_file_place(const uint8_t *file, int number, uint64_t *offset, uint64_t *size);

/* Reads one run, and verifies its checksums. Its sizes and its bytes point into the file if they
 * are stored raw; else into memory[0] and memory[1], which the caller clears. */
MUST_CHECK int rowgroup_file_run(const uint8_t *file, size_t size, const struct rowgroup_head *head,
                                 int number, struct buffer memory[2], struct run *out);

/* A group of the same rows with some parts alone, by number, in this order: what it would be had
 * only these been fetched. It may point into the file, which stays until it is freed. */
MUST_CHECK int rowgroup_file_choose(const uint8_t *file, size_t size,
                                    const struct rowgroup_head *head, const int *parts, int count,
                                    struct rowgroup **out);

/* The group with these parts alone, by number, each in its place; the others are not there. It may
 * point into the file, which stays until it is freed. */
MUST_CHECK int rowgroup_file_parts(const uint8_t *file, size_t size,
                                   const struct rowgroup_head *head, const int *parts, int count,
                                   struct rowgroup **out);

struct row_id rowgroup_row_id(const struct rowgroup *group, uint32_t row);

/* Walks over the values of a run in row order. */
struct run_cursor {
    const struct run *run;
    size_t at;
    uint32_t row;
};

/* The next value; false: it is NULL. Call it once a row, not more often. */
static inline bool run_next(struct run_cursor *cursor, const uint8_t **bytes, size_t *size)
{
    const struct run *run = cursor->run;
    int32_t n = run->fixed != RUN_VARIABLE ? (int32_t)run->fixed : run->sizes[cursor->row];
    cursor->row++;
    if (n < 0)
        return false;
    *bytes = run->bytes + cursor->at;
    *size = (size_t)n;
    cursor->at += (size_t)n;
    return true;
}

#endif
