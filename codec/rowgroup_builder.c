/* Collects the tuples of a COPY stream into a row group: each field's bytes are appended to its
 * part. */
#include "codec/bytes.h"
#include "codec/row_id.h"
#include "codec/rowgroup.h"

#include <errno.h>
#include <stdlib.h>

enum { TID_SIZE = 6, XID_SIZE = 4, ROW_ID_SIZE = 10 };

/* A run that grows. */
struct growing {
    struct buffer bytes;
    struct buffer sizes; /* int32_t; empty until a size differs from the first one */
    uint32_t fixed;
};

struct rowgroup_builder {
    const struct schema *schema;
    uint32_t rows;
    int run_count;
    struct growing *runs;
    struct growing row_ids;
    size_t bytes;
};

int rowgroup_fields(const struct schema *schema)
{
    return (schema->with_row_ids ? 2 : 0) + schema->part_count[PART_BINARY] +
           (schema->part_count[PART_TEXT] > 0) + (schema->part_count[PART_JSON] > 0);
}

int rowgroup_builder_new(const struct schema *schema, struct rowgroup_builder **out)
{
    struct rowgroup_builder *builder = calloc(1, sizeof *builder);
    int runs = schema_parts(schema);
    struct growing *growing = calloc((size_t)runs + 1, sizeof *growing);
    if (builder == NULL || growing == NULL) {
        free(builder);
        free(growing);
        return -ENOMEM;
    }
    builder->schema = schema;
    builder->run_count = runs;
    builder->runs = growing;
    *out = builder;
    return 0;
}

/* Row `row` (from 0) of this run has another size than all before it: from now on each row has its
 * own. */
static int spread_sizes(struct growing *run, uint32_t row)
{
    int rc = buffer_reserve(&run->sizes, ((size_t)row + 1) * sizeof(int32_t));
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < row; i++)
        ((int32_t *)(void *)run->sizes.data)[i] = (int32_t)run->fixed;
    run->sizes.size = (size_t)row * sizeof(int32_t);
    run->fixed = RUN_VARIABLE;
    return 0;
}

/* Adds the first value, or one of another size than those before. */
static int run_add_odd(struct growing *run, uint32_t row, const uint8_t *bytes, int32_t size)
{
    int rc = buffer_reserve(&run->bytes, size > 0 ? (size_t)size : 0);
    if (rc < 0)
        return rc;
    if (row == 0 && size >= 0)
        run->fixed = (uint32_t)size;
    else if (row == 0)
        run->fixed = RUN_VARIABLE;
    else if (run->fixed != RUN_VARIABLE && (int32_t)run->fixed != size)
        rc = spread_sizes(run, row);
    if (rc == 0 && run->fixed == RUN_VARIABLE)
        rc = buffer_append(&run->sizes, &size, sizeof size);
    if (rc == 0 && size > 0) {
        memcpy(run->bytes.data + run->bytes.size, bytes, (size_t)size);
        run->bytes.size += (size_t)size;
    }
    return rc;
}

static inline int run_add(struct growing *run, uint32_t row, const uint8_t *bytes, int32_t size)
{
    size_t n = size > 0 ? (size_t)size : 0;
    if (row == 0 || run->bytes.capacity - run->bytes.size < n)
        return run_add_odd(run, row, bytes, size);
    if (run->fixed == RUN_VARIABLE) {
        if (run->sizes.capacity - run->sizes.size < sizeof size)
            return run_add_odd(run, row, bytes, size);
        memcpy(run->sizes.data + run->sizes.size, &size, sizeof size);
        run->sizes.size += sizeof size;
    } else if (run->fixed != (uint32_t)size) {
        return run_add_odd(run, row, bytes, size);
    }
    copy_value(run->bytes.data + run->bytes.size, bytes, n);
    run->bytes.size += n;
    return 0;
}

/* A tuple, or an array in it, that is being read field by field. */
struct reader {
    const uint8_t *at, *end;
};

static inline bool read_field(struct reader *in, const uint8_t **bytes, int32_t *size)
{
    if (in->end - in->at < 4)
        return false;
    *size = (int32_t)load_be32(in->at);
    *bytes = in->at + 4;
    in->at += 4;
    if (*size < -1 || (*size > 0 && in->end - in->at < *size))
        return false;
    in->at += *size > 0 ? *size : 0;
    return true;
}

/* The field is an array of `count` texts, of one dimension: each is a value of a run of its own. */
static int add_array(struct rowgroup_builder *builder, struct reader *in, int first_run, int count)
{
    enum { HEAD = 20 }; /* dimensions, flags, element type, size, lower bound */
    const uint8_t *array;
    int32_t size;
    if (!read_field(in, &array, &size) || size < HEAD || load_be32(array) != 1 ||
        load_be32(array + 12) != (uint32_t)count)
        return -EBADMSG;
    struct reader elements = {array + HEAD, array + size};
    for (int i = 0; i < count; i++) {
        const uint8_t *bytes;
        if (!read_field(&elements, &bytes, &size))
            return -EBADMSG;
        int rc = run_add(&builder->runs[first_run + i], builder->rows, bytes, size);
        if (rc < 0)
            return rc;
    }
    return elements.at == elements.end ? 0 : -EBADMSG;
}

static int add_row_id(struct rowgroup_builder *builder, struct reader *in)
{
    const uint8_t *tid, *xid;
    int32_t tid_size, xid_size;
    if (!read_field(in, &tid, &tid_size) || tid_size != TID_SIZE ||
        !read_field(in, &xid, &xid_size) || xid_size != XID_SIZE)
        return -EBADMSG;
    struct buffer *ids = &builder->row_ids.bytes;
    int rc = buffer_reserve(ids, ROW_ID_SIZE);
    if (rc < 0)
        return rc;
    store_le64(ids->data + ids->size, load_be32(tid) | (uint64_t)load_be32(xid) << 32);
    store_le16(ids->data + ids->size + 8, load_be16(tid + 4));
    ids->size += ROW_ID_SIZE;
    builder->row_ids.fixed = ROW_ID_SIZE;
    return 0;
}

static int add_fields(struct rowgroup_builder *builder, struct reader *in)
{
    const struct schema *schema = builder->schema;
    int rc = schema->with_row_ids ? add_row_id(builder, in) : 0;
    int binary = schema->part_count[PART_BINARY], text = schema->part_count[PART_TEXT];
    const uint8_t *at = in->at, *end = in->end;
    for (int i = 0; rc == 0 && i < binary; i++) {
        if (end - at < 4)
            return -EBADMSG;
        int32_t size = (int32_t)load_be32(at);
        at += 4;
        size_t n = size > 0 ? (size_t)size : 0;
        if (size < -1 || (size_t)(end - at) < n)
            return -EBADMSG;
        rc = run_add(&builder->runs[i], builder->rows, at, size);
        at += n;
    }
    in->at = at;
    if (rc == 0 && text > 0)
        rc = add_array(builder, in, binary, text);
    if (rc == 0 && schema->part_count[PART_JSON] > 0)
        rc = add_array(builder, in, binary + text, schema->part_count[PART_JSON]);
    return rc == 0 && in->at != in->end ? -EBADMSG : rc;
}

/* Room for a group of the usual size, of rows like the first one: so runs do not move as they
 * grow. */
static int reserve_runs(struct rowgroup_builder *builder, size_t tuple_size)
{
    enum { USUAL_BYTES = 4 << 20 };
    size_t rows = tuple_size > 0 ? USUAL_BYTES / tuple_size : 0;
    int rc = 0;
    for (int i = 0; rc == 0 && i < builder->run_count; i++)
        rc = buffer_reserve(&builder->runs[i].bytes, builder->runs[i].bytes.size * rows);
    return rc;
}

int rowgroup_builder_add(struct rowgroup_builder *builder, const uint8_t *tuple, size_t size,
                         struct error *error)
{
    struct reader in = {tuple, tuple + size};
    int rc = add_fields(builder, &in);
    if (rc == 0 && builder->rows == 0)
        rc = reserve_runs(builder, size);
    if (rc == -EBADMSG)
        return error_set(error, rc,
                         "a row of the server's COPY stream does not fit the columns asked for");
    if (rc < 0)
        return error_set(error, rc, "no memory for a row of %zu bytes", size);
    builder->rows++;
    builder->bytes += size;
    return 0;
}

uint32_t rowgroup_builder_rows(const struct rowgroup_builder *builder) { return builder->rows; }

size_t rowgroup_builder_bytes(const struct rowgroup_builder *builder) { return builder->bytes; }

/* The finished group owns the builder's buffers. */
static void hand_over(struct growing *from, struct run *to, struct rowgroup *group)
{
    *to = (struct run){.bytes = from->bytes.data,
                       .size = from->bytes.size,
                       .fixed = from->fixed,
                       .sizes = from->fixed == RUN_VARIABLE ? (int32_t *)(void *)from->sizes.data
                                                            : NULL};
    group->memory[group->memory_count++] = from->bytes;
    group->memory[group->memory_count++] = from->sizes;
    *from = (struct growing){0};
}

/* Bytes are hashed once: the file's checksum of a block that is stored raw is the same hash. */
static void hash_run(struct hash_stream *hash, struct run *run, uint32_t rows)
{
    struct hash128 bytes = hash128(run->bytes, run->size);
    run->bytes_hash = bytes.low;
    uint64_t head[4] = {htole64(run->size), htole64(run->fixed), htole64(bytes.high),
                        htole64(bytes.low)};
    hash_stream_add(hash, head, sizeof head);
    if (run->fixed == RUN_VARIABLE)
        hash_stream_add(hash, run->sizes, (size_t)rows * sizeof(int32_t));
}

int rowgroup_hash(struct rowgroup *group)
{
    struct hash_stream *hash = hash_stream_new();
    if (hash == NULL)
        return -ENOMEM;
    uint32_t rows = htole32(group->rows);
    hash_stream_add(hash, &rows, sizeof rows);
    for (int i = 0; i < group->run_count; i++)
        hash_run(hash, &group->runs[i], group->rows);
    group->content = hash_stream_value(hash);
    hash_stream_free(hash);
    return 0;
}

int rowgroup_builder_finish(struct rowgroup_builder *builder, struct rowgroup **out)
{
    struct rowgroup *group = calloc(1, sizeof *group);
    struct run *runs = calloc((size_t)builder->run_count + 1, sizeof *runs);
    struct buffer *memory = calloc(2 * ((size_t)builder->run_count + 1), sizeof *memory);
    if (group == NULL || runs == NULL || memory == NULL) {
        free(group);
        free(runs);
        free(memory);
        return -ENOMEM;
    }
    *group = (struct rowgroup){
        .rows = builder->rows, .run_count = builder->run_count, .runs = runs, .memory = memory};
    for (int i = 0; i < builder->run_count; i++)
        hand_over(&builder->runs[i], &runs[i], group);
    hand_over(&builder->row_ids, &group->row_ids, group);
    group->row_id_sum = row_id_sum(group->row_ids.bytes, group->row_ids.size / ROW_ID_SIZE);
    builder->rows = 0;
    builder->bytes = 0;
    int rc = rowgroup_hash(group);
    if (rc < 0) {
        rowgroup_free(group);
        return rc;
    }
    *out = group;
    return 0;
}

void rowgroup_builder_free(struct rowgroup_builder *builder)
{
    if (builder == NULL)
        return;
    for (int i = 0; i < builder->run_count; i++) {
        buffer_clear(&builder->runs[i].bytes);
        buffer_clear(&builder->runs[i].sizes);
    }
    buffer_clear(&builder->row_ids.bytes);
    buffer_clear(&builder->row_ids.sizes);
    free(builder->runs);
    free(builder);
}

void rowgroup_free(struct rowgroup *group)
{
    if (group == NULL)
        return;
    for (int i = 0; i < group->memory_count; i++)
        buffer_clear(&group->memory[i]);
    free(group->memory);
    free(group->runs);
    free(group);
}

struct row_id rowgroup_row_id(const struct rowgroup *group, uint32_t row)
{
    const uint8_t *at = group->row_ids.bytes + (size_t)row * ROW_ID_SIZE;
    return (struct row_id){
        .block = load_le32(at), .xmin = load_le32(at + 4), .offset = load_le16(at + 8)};
}
