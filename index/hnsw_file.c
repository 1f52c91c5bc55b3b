/* An index as a file. It is little-endian, in the order in which it lies in memory:
 *
 *   at 0      head       struct head, with a hash of the rest of itself; then 0
 *   at 4096   sections   mean | look | fine | arena | places | xmins | twins | lists of each layer
 *                        | the caller's binding: each filled up with 0 to a multiple of 4096
 *   behind    sums       u64 hash64 of each MiB of the sections; the head has the hash of the sums
 *
 * hnsw_open checks all of it, at several GB a second. But a file may have been made to deceive,
 * with checksums that hold: hnsw_open also checks twins, sparse vectors and the number of rows;
 * lists are checked as a search follows them, or when they are copied (hnsw_copy.c). */
#include "index/hnsw_parts.h"

#include "codec/buffer.h"
#include "codec/hash.h"
#include "index/pages.h"
#include "index/team.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are written as memory lies");

enum { HEAD_SIZE = 4096, SUM_BYTES = 1 << 20, VERSION = 2 };
#define MAGIC UINT64_C(0x31776e7368766770) /* "pgvhsnw1", little-endian */

enum section {
    SECTION_MEAN,
    SECTION_LOOK,
    SECTION_FINE,
    SECTION_ARENA,
    SECTION_PLACES,
    SECTION_XMINS,
    SECTION_TWINS,
    SECTION_LISTS,
    SECTION_BINDING = SECTION_LISTS + LAYERS_MOST,
    SECTIONS
};

struct head {
    uint64_t magic;
    uint64_t hash;      /* of what follows, to the end of this struct */
    uint64_t file_size; /* with the sums */
    uint64_t sums_at, sums_hash;
    uint32_t version, head_size;
    uint32_t element, metric, dims, bits;
    uint32_t m, ef_construction;
    uint64_t seed, churn;
    uint32_t layer_count, slots, rows, entry;
    float step, radius2;
    uint32_t curve_count, padding;
    struct hnsw_recall curve[HNSW_RECALLS];
    uint32_t counts[LAYERS_MOST], degrees[LAYERS_MOST];
    struct {
        uint64_t at, size;
    } sections[SECTIONS];
};

static uint64_t head_hash(const struct head *head)
{
    size_t skip = offsetof(struct head, file_size);
    return hash64((const uint8_t *)head + skip, sizeof *head - skip);
}

static uint64_t whole_pages(uint64_t size)
{
    return (size + HEAD_SIZE - 1) / HEAD_SIZE * HEAD_SIZE;
}

/* ---- writing ---- */

struct content {
    const void *bytes;
    uint64_t size;
};

static void describe_index(const struct hnsw *hnsw, struct head *head)
{
    const struct field *field = &hnsw->field;
    *head = (struct head){.magic = MAGIC,
                          .version = VERSION,
                          .head_size = sizeof *head,
                          .element = field->space.element,
                          .metric = field->space.metric,
                          .dims = field->space.dims,
                          .bits = field->bits,
                          .m = hnsw->m,
                          .ef_construction = hnsw->ef_construction,
                          .seed = hnsw->seed,
                          .churn = hnsw->churn,
                          .layer_count = hnsw->layer_count,
                          .slots = hnsw->slots,
                          .rows = hnsw->rows,
                          .entry = hnsw->entry,
                          .step = field->step,
                          .radius2 = field->radius2,
                          .curve_count = hnsw->curve_count};
    memcpy(head->curve, hnsw->curve, sizeof head->curve);
    for (uint32_t l = 0; l < hnsw->layer_count; l++) {
        head->counts[l] = hnsw->layers[l].count;
        head->degrees[l] = hnsw->layers[l].degree;
    }
}

static void list_sections(const struct hnsw *hnsw, const struct hnsw_binding *binding,
                          struct content content[SECTIONS])
{
    const struct field *field = &hnsw->field;
    uint64_t slots = hnsw->slots;
    memset(content, 0, SECTIONS * sizeof *content);
    content[SECTION_MEAN] = (struct content){field->mean, field_mean_size(field)};
    content[SECTION_LOOK] = (struct content){field->look, slots * field->look_stride};
    content[SECTION_FINE] = (struct content){field->fine, slots * field->fine_stride};
    content[SECTION_ARENA] = (struct content){field->arena, field->arena_size};
    content[SECTION_PLACES] = (struct content){hnsw->places, slots * sizeof *hnsw->places};
    content[SECTION_XMINS] = (struct content){hnsw->xmins, slots * sizeof *hnsw->xmins};
    if (hnsw->twins != NULL)
        content[SECTION_TWINS] = (struct content){hnsw->twins, slots * sizeof *hnsw->twins};
    for (uint32_t l = 0; l < hnsw->layer_count; l++) {
        const struct layer *layer = &hnsw->layers[l];
        content[SECTION_LISTS + l] = (struct content){
            layer->lists, (uint64_t)layer->count * layer->degree * sizeof *layer->lists};
    }
    content[SECTION_BINDING] = (struct content){binding->bytes, binding->size};
}

static void place_sections(const struct content content[SECTIONS], struct head *head)
{
    uint64_t at = HEAD_SIZE;
    for (int s = 0; s < SECTIONS; s++) {
        head->sections[s].at = at;
        head->sections[s].size = content[s].size;
        at += whole_pages(content[s].size);
    }
    head->sums_at = at;
    head->file_size = at + (at - HEAD_SIZE + SUM_BYTES - 1) / SUM_BYTES * sizeof(uint64_t);
}

static bool stop_is_set(const atomic_bool *stop)
{
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

/* Bytes on their way into the file, which are hashed a MiB at a time. */
struct writer {
    int file;
    const atomic_bool *stop; /* or NULL */
    uint8_t *chunk;          /* SUM_BYTES, the first `used` of them written to */
    size_t used;
    struct buffer sums;
};

static int write_all(int file, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t n = write(file, at, size);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int flush_chunk(struct writer *writer)
{
    uint64_t hash = hash64(writer->chunk, writer->used);
    int rc = writer->used == 0 ? 0 : buffer_append(&writer->sums, &hash, sizeof hash);
    if (rc == 0)
        rc = stop_is_set(writer->stop) ? -EINTR
                                       : write_all(writer->file, writer->chunk, writer->used);
    writer->used = 0;
    return rc;
}

/* NULL: zeroes. */
static int write_section(struct writer *writer, const void *bytes, uint64_t size)
{
    const uint8_t *at = bytes;
    int rc = 0;
    while (rc == 0 && size > 0) {
        size_t n = SUM_BYTES - writer->used < size ? SUM_BYTES - writer->used : (size_t)size;
        if (at != NULL)
            memcpy(writer->chunk + writer->used, at, n);
        else
            memset(writer->chunk + writer->used, 0, n);
        at = at != NULL ? at + n : NULL;
        size -= n;
        writer->used += n;
        if (writer->used == SUM_BYTES)
            rc = flush_chunk(writer);
    }
    return rc;
}

static int write_file(struct writer *writer, struct head *head,
                      const struct content content[SECTIONS])
{
    static const uint8_t nothing[HEAD_SIZE];
    int rc = write_all(writer->file, nothing, HEAD_SIZE);
    for (int s = 0; rc == 0 && s < SECTIONS; s++) {
        rc = write_section(writer, content[s].bytes, content[s].size);
        if (rc == 0)
            rc = write_section(writer, NULL, whole_pages(content[s].size) - content[s].size);
    }
    if (rc == 0)
        rc = flush_chunk(writer);
    if (rc == 0)
        rc = write_all(writer->file, writer->sums.data, writer->sums.size);
    head->sums_hash = hash64(writer->sums.data, writer->sums.size);
    head->hash = head_hash(head);
    if (rc == 0 && pwrite(writer->file, head, sizeof *head, 0) != (ssize_t)sizeof *head)
        rc = -EIO;
    return rc == 0 && fsync(writer->file) < 0 ? -errno : rc;
}

int hnsw_save(const struct hnsw *hnsw, const struct hnsw_binding *binding, int dir,
              const char *name, const atomic_bool *stop, struct error *error)
{
    struct head head;
    struct content content[SECTIONS];
    char temporary[NAME_MAX + 1];
    struct writer writer = {.stop = stop, .chunk = malloc(SUM_BYTES)};
    if (writer.chunk == NULL)
        return error_set(error, -ENOMEM, "no memory to write the index %s", name);
    describe_index(hnsw, &head);
    list_sections(hnsw, binding, content);
    place_sections(content, &head);
    int n = snprintf(temporary, sizeof temporary, "%s.new", name);
    writer.file =
        n >= (int)sizeof temporary
            ? -1
            : openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = n >= (int)sizeof temporary ? -ENAMETOOLONG : writer.file < 0 ? -errno : 0;
    if (rc == 0)
        rc = write_file(&writer, &head, content);
    if (writer.file >= 0 && close(writer.file) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && (renameat(dir, temporary, dir, name) < 0 || fsync(dir) < 0))
        rc = -errno;
    if (rc < 0 && writer.file >= 0)
        unlinkat(dir, temporary, 0);
    free(writer.chunk);
    buffer_clear(&writer.sums);
    return rc == 0 ? 0 : error_set(error, rc, "cannot write the index %s: %s", name, strerror(-rc));
}

/* ---- opening ---- */

static bool head_is_sensible(const struct head *head, const struct space *space)
{
    if (head->element != space->element || head->metric != space->metric ||
        head->dims != space->dims || head->layer_count > LAYERS_MOST || head->slots > SLOTS_MOST ||
        head->curve_count > HNSW_RECALLS || head->m < 2 || head->m > 100 ||
        head->ef_construction < 4 || head->ef_construction > 1000 || head->rows > head->slots)
        return false;
    if (!field_bits_fit(space, head->bits))
        return false;
    for (uint32_t l = 0; l < head->layer_count; l++)
        if (head->degrees[l] == 0 || head->degrees[l] > DEGREE_MOST / 2 || head->counts[l] == 0 ||
            head->counts[l] > (l == 0 ? head->slots : head->counts[l - 1]))
            return false;
    if (head->layer_count == 0)
        return head->slots == 0;
    return head->entry < head->counts[head->layer_count - 1] && head->counts[0] == head->slots;
}

/* The size that each section must have; UINT64_MAX: any. */
static void expected_sizes(const struct head *head, const struct field *field,
                           uint64_t sizes[SECTIONS])
{
    memset(sizes, 0, SECTIONS * sizeof *sizes);
    sizes[SECTION_MEAN] = field_mean_size(field);
    sizes[SECTION_LOOK] = head->slots * field->look_stride;
    sizes[SECTION_FINE] = head->slots * field->fine_stride;
    sizes[SECTION_ARENA] = field_in_arena(field) ? UINT64_MAX : 0;
    sizes[SECTION_PLACES] = head->slots * sizeof(uint64_t);
    sizes[SECTION_XMINS] = head->slots * sizeof(uint32_t);
    sizes[SECTION_TWINS] = UINT64_MAX;
    for (uint32_t l = 0; l < head->layer_count; l++)
        sizes[SECTION_LISTS + l] = (uint64_t)head->counts[l] * head->degrees[l] * sizeof(uint32_t);
    sizes[SECTION_BINDING] = UINT64_MAX;
}

static bool sections_fit(const struct head *head, const struct field *field)
{
    uint64_t sizes[SECTIONS], at = HEAD_SIZE;
    expected_sizes(head, field, sizes);
    for (int s = 0; s < SECTIONS; s++) {
        uint64_t size = head->sections[s].size;
        if (head->sections[s].at != at || (sizes[s] != UINT64_MAX && size != sizes[s]) ||
            size > head->file_size)
            return false;
        at += whole_pages(size);
        if (at > head->file_size)
            return false;
    }
    uint64_t twins = head->sections[SECTION_TWINS].size;
    return at == head->sums_at && (twins == 0 || twins == head->slots * sizeof(uint32_t)) &&
           head->file_size == at + (at - HEAD_SIZE + SUM_BYTES - 1) / SUM_BYTES * sizeof(uint64_t);
}

struct checking {
    const uint8_t *bytes;
    uint64_t end;
    const uint64_t *sums;
    const atomic_bool *stop; /* or NULL */
    atomic_bool bad, stopped;
};

static void check_chunk(void *context, int thread, size_t i)
{
    struct checking *checking = context;
    (void)thread;
    uint64_t at = HEAD_SIZE + (uint64_t)i * SUM_BYTES;
    uint64_t size = checking->end - at < SUM_BYTES ? checking->end - at : SUM_BYTES;
    if (checking->stopped || checking->bad)
        return;
    if (stop_is_set(checking->stop)) {
        checking->stopped = true;
        return;
    }
    pages_fetch(checking->bytes + at, (size_t)size);
    if (hash64(checking->bytes + at, (size_t)size) != checking->sums[i])
        checking->bad = true;
}

static int check_sums(const uint8_t *bytes, const struct head *head, const atomic_bool *stop)
{
    struct checking checking = {.bytes = bytes,
                                .end = head->sums_at,
                                .sums = (const uint64_t *)(const void *)(bytes + head->sums_at),
                                .stop = stop};
    struct team *team;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (hash64(checking.sums, (size_t)(head->file_size - head->sums_at)) != head->sums_hash)
        return -EBADMSG;
    int rc = team_new(cpus > 8 ? 8 : cpus < 1 ? 1 : (int)cpus, &team);
    if (rc < 0)
        return rc;
    team_run(team, (size_t)((head->sums_at - HEAD_SIZE + SUM_BYTES - 1) / SUM_BYTES), 1,
             check_chunk, &checking);
    team_free(team);
    return checking.bad ? -EBADMSG : checking.stopped ? -EINTR : 0;
}

static void *section_of(const uint8_t *bytes, const struct head *head, int section)
{
    return head->sections[section].size > 0
               ? (void *)(uintptr_t)(bytes + head->sections[section].at)
               : NULL;
}

/* Lets the index borrow what the head describes. */
static void borrow_sections(const uint8_t *bytes, const struct head *head, struct hnsw *hnsw)
{
    struct field *field = &hnsw->field;
    field->slots = head->slots;
    field->look = section_of(bytes, head, SECTION_LOOK);
    field->fine = section_of(bytes, head, SECTION_FINE);
    field->arena = section_of(bytes, head, SECTION_ARENA);
    field->arena_size = field->arena_room = head->sections[SECTION_ARENA].size;
    field->step = head->step;
    field->radius2 = head->radius2;
    hnsw->m = head->m;
    hnsw->ef_construction = head->ef_construction;
    hnsw->seed = head->seed;
    hnsw->churn = head->churn;
    hnsw->layer_count = head->layer_count;
    hnsw->slots = head->slots;
    hnsw->rows = head->rows;
    hnsw->entry = head->entry;
    hnsw->curve_count = head->curve_count;
    memcpy(hnsw->curve, head->curve, sizeof hnsw->curve);
    hnsw->places = section_of(bytes, head, SECTION_PLACES);
    hnsw->xmins = section_of(bytes, head, SECTION_XMINS);
    hnsw->twins = section_of(bytes, head, SECTION_TWINS);
    for (uint32_t l = 0; l < head->layer_count; l++)
        hnsw->layers[l] = (struct layer){.count = head->counts[l],
                                         .degree = head->degrees[l],
                                         .lists = section_of(bytes, head, SECTION_LISTS + (int)l)};
}

/* What no checksum proves. */
static int check_contents(const struct hnsw *hnsw)
{
    if (hnsw->layer_count > 0 && !slot_taken(hnsw, hnsw->entry))
        return -EBADMSG;
    int rc = hnsw_places_hold(hnsw) ? hnsw_twins_hold(hnsw) : -EBADMSG;
    return rc < 0 || field_arena_holds(&hnsw->field, hnsw->slots) ? rc : -EBADMSG;
}

static int copy_mean(const uint8_t *bytes, const struct head *head, struct field *field)
{
    size_t size = (size_t)head->sections[SECTION_MEAN].size;
    if (size == 0)
        return 0;
    field->mean = malloc(size);
    if (field->mean == NULL)
        return -ENOMEM;
    memcpy(field->mean, bytes + head->sections[SECTION_MEAN].at, size);
    return 0;
}

static int read_image(const struct hnsw_image *image, const struct space *space,
                      const atomic_bool *stop, struct hnsw *hnsw, struct buffer *binding)
{
    struct head head;
    const uint8_t *bytes = image->bytes;
    if (image->size < HEAD_SIZE)
        return -EBADMSG;
    memcpy(&head, bytes, sizeof head);
    if (head.magic != MAGIC || head.version != VERSION || head.head_size != sizeof head ||
        head.hash != head_hash(&head) || head.file_size != image->size ||
        !head_is_sensible(&head, space))
        return -EBADMSG;
    hnsw->field = (struct field){.space = *space, .bits = head.bits};
    field_shape(&hnsw->field);
    if (!sections_fit(&head, &hnsw->field))
        return -EBADMSG;
    int rc = check_sums(bytes, &head, stop);
    if (rc < 0)
        return rc;
    borrow_sections(bytes, &head, hnsw);
    rc = check_contents(hnsw);
    if (rc == 0)
        rc = copy_mean(bytes, &head, &hnsw->field);
    return rc < 0 ? rc
                  : buffer_append(binding, bytes + head.sections[SECTION_BINDING].at,
                                  (size_t)head.sections[SECTION_BINDING].size);
}

int hnsw_open(const struct hnsw_image *image, const struct space *space, const atomic_bool *stop,
              struct hnsw **out, struct buffer *binding, struct error *error)
{
    struct hnsw *hnsw = calloc(1, sizeof *hnsw);
    if (hnsw == NULL)
        return error_set(error, -ENOMEM, "no memory to open the index");
    hnsw->borrowed = true;
    int rc = read_image(image, space, stop, hnsw, binding);
    if (rc == 0) {
        *out = hnsw;
        return 0;
    }
    hnsw_free(hnsw);
    return error_set(error, rc, "%s",
                     rc == -EBADMSG ? "it is damaged, or of another column or program"
                                    : strerror(-rc));
}
