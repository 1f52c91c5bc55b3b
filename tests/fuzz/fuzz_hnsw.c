/* An index file that somebody has changed: byte 0 chooses the space; of byte 1, bit 0 says that the
 * checksums are to hold all the same (they are then computed here, or nothing behind them would be
 * reached), bit 1 that it is cut short, where bytes 2 and 3 say. Then come changes of four bytes
 * each: where (u24), and what stands there then. What is opened can be searched, and finds nothing
 * but its own slots; it can be changed, and copied. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/clusters.h"
#include "tests/unit/graph_file.h"

#include <stdio.h>

enum { ROWS = 40, HEAD = 4096 };

static const struct space spaces[] = {{ELEMENT_FLOAT32, METRIC_COSINE, 12},
                                      {ELEMENT_FLOAT32, METRIC_L1, 7},
                                      {ELEMENT_FLOAT16, METRIC_L2, 600},
                                      {ELEMENT_SPARSE, METRIC_IP, 90},
                                      {ELEMENT_BIT, METRIC_HAMMING, 70}};
enum { SPACES = sizeof spaces / sizeof *spaces };

/* Whole ones; those that are opened, and no copy of which is taken; those that are refused though
 * their checksums hold. */
enum { WHOLE, NOT_COPIED, REFUSED, FATES };
unsigned long fuzz_taken[FUZZ_KINDS_MOST];

const char *fuzz_kind(unsigned kind)
{
    static const char *const fates[] = {"taken", "opened but not copied",
                                        "refused by its contents"};
    static char name[60];
    if (kind / FATES >= SPACES)
        return NULL;
    snprintf(name, sizeof name, "space %u, %s", kind / FATES, fates[kind % FATES]);
    return name;
}

static char folder[] = "/tmp/pgvecfs-fuzz.XXXXXX";
static int dir = -1;
static struct base {
    struct vectors v;
    uint8_t *file;
    size_t size;
} bases[SPACES];

static void clean(void)
{
    unlinkat(dir, "index", 0);
    rmdir(folder);
    for (int i = 0; i < SPACES; i++) {
        vectors_clear(&bases[i].v);
        free(bases[i].file);
    }
}

static void make_base(struct base *base, struct space space)
{
    struct hnsw_options options = {
        .space = space, .m = 4, .ef_construction = 20, .seed = 1, .threads = 1};
    static const struct hnsw_binding binding = {"binding", 7};
    struct hnsw *hnsw;
    struct stat st;
    vectors_make(&base->v, space, ROWS, 1);
    vectors_add_copy(&base->v, 3);
    struct span span = vectors_span(&base->v, 0, base->v.rows);
    vectors_must(hnsw_build(&options, &(struct hnsw_rows){&span, 1, base->v.keys}, &hnsw, NULL) ==
                 0);
    vectors_must(hnsw_save(hnsw, &binding, dir, "index", NULL, NULL) == 0);
    hnsw_free(hnsw);
    int fd = openat(dir, "index", O_RDONLY);
    vectors_must(fd >= 0 && fstat(fd, &st) == 0);
    base->size = (size_t)st.st_size;
    base->file = malloc(base->size);
    vectors_must(base->file != NULL && read(fd, base->file, base->size) == st.st_size);
    close(fd);
}

static void prepare(void)
{
    if (dir >= 0)
        return;
    vectors_must(mkdtemp(folder) != NULL);
    dir = open(folder, O_RDONLY | O_DIRECTORY);
    vectors_must(dir >= 0);
    for (int i = 0; i < SPACES; i++)
        make_base(&bases[i], spaces[i]);
    atexit(clean);
}

static void search(const struct base *base, const struct hnsw *hnsw, uint32_t k, uint32_t ef)
{
    enum { K = 10 };
    struct hnsw_searcher *searcher;
    struct hnsw_found found[K + 5];
    struct row_key key;
    size_t words = (size_t)hnsw_slots(hnsw) / 64 + 1;
    uint64_t *filter = calloc(2 * words, sizeof *filter); /* every third; all */
    if (filter == NULL || hnsw_searcher_new(hnsw, &searcher) < 0) {
        free(filter);
        return;
    }
    for (uint32_t slot = 0; slot < hnsw_slots(hnsw); slot += 3)
        filter[slot / 64] |= UINT64_C(1) << slot % 64;
    memset(filter + words, 0xff, words * sizeof *filter);
    const uint64_t *filters[] = {NULL, filter, filter + words};
    for (uint32_t q = 0; q < ROWS; q += 11) {
        struct query *query = vectors_query(&base->v, q);
        for (int f = 0; f < 3; f++) {
            uint32_t count = 0;
            const struct hnsw_question question = {
                .query = query, .k = k, .ef = ef, .room = K + 5, .filter = filters[f]};
            int rc = hnsw_search(hnsw, searcher, &question, found, &count, NULL);
            vectors_must(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
            vectors_must(count <= K + 5);
            for (uint32_t i = 0; rc == 0 && i < count; i++)
                vectors_must(hnsw_key(hnsw, found[i].slot, &key));
        }
        query_free(query);
    }
    hnsw_searcher_free(searcher);
    free(filter);
}

/* Every fifth goes, some come. */
static void update(const struct base *base, const struct hnsw *hnsw)
{
    struct hnsw_options options = {.space = base->v.space, .threads = 1};
    struct span span = vectors_span(&base->v, 0, 9);
    struct hnsw *new;
    uint64_t *dead = calloc((size_t)hnsw_slots(hnsw) / 64 + 1, sizeof *dead);
    vectors_must(dead != NULL);
    for (uint32_t slot = 0; slot < hnsw_slots(hnsw); slot += 5)
        dead[slot / 64] |= UINT64_C(1) << slot % 64;
    int rc =
        hnsw_update(hnsw, &options, dead, &(struct hnsw_rows){&span, 1, base->v.keys}, &new, NULL);
    vectors_must(rc == 0 || rc == -EBADMSG || rc == -ENOMEM || rc == -EFBIG);
    if (rc == 0) {
        rc = hnsw_check(new, NULL);
        vectors_must(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
        search(base, new, 5, 5);
        hnsw_free(new);
    }
    free(dead);
}

static int try_file(const struct base *base, const uint8_t *file, size_t size)
{
    struct buffer binding = {0};
    struct hnsw *hnsw, *own;
    int rc =
        hnsw_open(&(struct hnsw_image){file, size}, &base->v.space, NULL, &hnsw, &binding, NULL);
    vectors_must(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
    buffer_clear(&binding);
    if (rc < 0)
        return REFUSED;
    rc = hnsw_check(hnsw, NULL);
    vectors_must(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
    search(base, hnsw, 10, 20);
    search(base, hnsw, 1, 1);
    update(base, hnsw);
    rc = hnsw_copy(hnsw, &own);
    vectors_must(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
    hnsw_free(hnsw);
    if (rc < 0)
        return NOT_COPIED;
    search(base, own, 10, 20);
    update(base, own);
    hnsw_free(own);
    return WHOLE;
}

/* A number of a section becomes another one. */
static void put_change(fuzz_put *put, uint8_t space, int section, size_t place, uint32_t number)
{
    size_t size;
    uint8_t *file = bases[space].file;
    size_t at = (size_t)(graph_section(file, section, &size) - file) + 4 * place;
    uint8_t input[4 + 4 * 4] = {space, 1};
    vectors_must(4 * place + 4 <= size && at + 3 < 1 << 24);
    for (size_t i = 0; i < 4; i++) {
        uint8_t *change = input + 4 + 4 * i;
        change[0] = (uint8_t)(at + i);
        change[1] = (uint8_t)((at + i) >> 8);
        change[2] = (uint8_t)((at + i) >> 16);
        change[3] = (uint8_t)(number >> 8 * i);
    }
    put(input, sizeof input);
}

void fuzz_seeds(fuzz_put *put)
{
    prepare();
    for (uint8_t space = 0; space < SPACES; space++) {
        put((const uint8_t[]){space, 0, 0, 0}, 4);
        put((const uint8_t[]){space, 1, 0, 0}, 4);
        put((const uint8_t[]){space, 3, 0, 128}, 4); /* half of it */
        put_change(put, space, GRAPH_LISTS, 0, 0x7ffffff0);
        put_change(put, space, GRAPH_LISTS, 3, 0x7fffffff);
        for (size_t place = 0; place < 4; place++)
            put_change(put, space, GRAPH_TWINS, place, (uint32_t)place); /* rings */
        put_change(put, space, GRAPH_PLACES, 0, 77);
        put_change(put, space, GRAPH_LOOK, 1, 0x01010101);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    prepare();
    unsigned space = data[0] % SPACES;
    const struct base *base = &bases[space];
    size_t length = base->size;
    if (data[1] & 2)
        length = length * (size_t)(data[2] | data[3] << 8) >> 16;
    void *file; /* exactly its size, so that a read behind it is seen */
    vectors_must(posix_memalign(&file, HEAD, length + (length == 0)) == 0);
    memcpy(file, base->file, length);
    for (size_t i = 4; i + 4 <= size; i += 4) {
        size_t at = (size_t)(data[i] | data[i + 1] << 8 | data[i + 2] << 16);
        if (at < length)
            ((uint8_t *)file)[at] = data[i + 3];
    }
    if (data[1] & 1)
        graph_seal(file, length);
    int fate = try_file(base, file, length);
    if (fate != REFUSED || (data[1] & 3) == 1)
        fuzz_taken[space * FATES + (unsigned)fate]++;
    free(file);
    return 0;
}
