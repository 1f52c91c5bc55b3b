/* An index whose every allocation fails once: the answer is -ENOMEM, what was taken is given back,
 * and what there was before is as it was. The same where it is stopped at each of them. The
 * Makefile links this test with --wrap for the functions below; what is counted are those of the
 * project's own code. */
#include "index/hnsw.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/graphs.h"

#include <stdatomic.h>

static atomic_long countdown; /* 0: nothing fails */
static atomic_bool reallocs;  /* only those are counted down */
static atomic_bool stops;     /* it does not fail, but `stop` is set */
static atomic_bool stop;
static atomic_long blocks; /* that there are, of malloc */
static atomic_long mapped; /* bytes */

static bool fails(void)
{
    long left = countdown;
    while (left > 0 && !atomic_compare_exchange_weak(&countdown, &left, left - 1))
        ;
    if (left == 1 && stops)
        stop = true;
    return left == 1 && !stops;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *block);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_reallocarray(void *block, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *block);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t size);

static void *taken(void *block)
{
    blocks += block != NULL;
    return block;
}

void *__wrap_malloc(size_t size)
{
    return !reallocs && fails() ? NULL : taken(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return !reallocs && fails() ? NULL : taken(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (fails())
        return NULL;
    void *more = __real_realloc(block, size);
    blocks += block == NULL && more != NULL;
    return more;
}

void *__wrap_reallocarray(void *block, size_t count, size_t size)
{
    return size != 0 && count > SIZE_MAX / size ? NULL : __wrap_realloc(block, count * size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return !reallocs && fails() ? NULL : taken(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *block)
{
    blocks -= block != NULL;
    __real_free(block);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (!reallocs && fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    mapped += (long)size;
    return __real_mmap(at, size, protection, flags, fd, offset);
}

int __wrap_munmap(void *at, size_t size)
{
    mapped -= (long)size;
    return __real_munmap(at, size);
}

/* What the attempts work on, made without failures. */
struct setting {
    struct vectors v;
    struct hnsw_options options;
    struct hnsw *hnsw;
    struct graph_map file;
    uint8_t *expected; /* bytes of what comes out if all goes well */
    size_t size;
    int folder;
};

/* What was made; graph_bytes must not fail here. */
static void compare(struct setting *setting, struct hnsw *made)
{
    size_t size;
    uint8_t *bytes = graph_bytes(made, &size);
    if (setting->expected == NULL) {
        setting->expected = bytes;
        setting->size = size;
        return;
    }
    assert_int_equal(size, setting->size);
    assert_memory_equal(bytes, setting->expected, size);
    free(bytes);
}

typedef int attempt(struct setting *setting, struct hnsw **made);

/* Calls `try` until no allocation fails in it; what comes out then is the same as ever. */
static void each_failure(attempt *try, struct setting *setting)
{
    struct hnsw *made = NULL;
    assert_int_equal(try(setting, &made), 0);
    if (made != NULL)
        compare(setting, made);
    hnsw_free(made);
    for (long n = 1;; n++) {
        long blocks_before = blocks, mapped_before = mapped;
        assert_true(n < 100000);
        made = NULL;
        countdown = n;
        int rc = try(setting, &made);
        bool failed = countdown == 0;
        countdown = 0;
        if (!failed) {
            assert_int_equal(rc, 0);
            assert_true(n > 1); /* it did allocate */
            if (made != NULL)
                compare(setting, made);
            hnsw_free(made);
            break;
        }
        if (rc != -ENOMEM)
            fail_msg("allocation %ld failed, and the answer is %d", n, rc);
        assert_null(made);
        assert_int_equal(blocks, blocks_before);
        assert_int_equal(mapped, mapped_before);
    }
    free(setting->expected);
    setting->expected = NULL;
}

/* Stops `try` at each allocation in turn: it ends at once, with nothing left, or is done so far
 * that it goes well. */
static void each_stop(attempt *try, struct setting *setting)
{
    enum { REST = 4 }; /* allocations behind the last look at the flag */
    struct hnsw *made = NULL;
    long last = 0; /* where it was still stopped */
    assert_int_equal(try(setting, &made), 0);
    if (made != NULL)
        compare(setting, made);
    hnsw_free(made);
    stops = true;
    for (long n = 1;; n++) {
        long blocks_before = blocks, mapped_before = mapped;
        assert_true(n < 100000);
        made = NULL;
        countdown = n;
        int rc = try(setting, &made);
        countdown = 0;
        bool stopped = stop;
        stop = false;
        if (rc == 0) {
            if (made != NULL)
                compare(setting, made);
            hnsw_free(made);
        } else if (rc == -EINTR && stopped) {
            assert_null(made);
            last = n;
        } else {
            fail_msg("stopped at allocation %ld, and the answer is %d", n, rc);
        }
        assert_int_equal(blocks, blocks_before);
        assert_int_equal(mapped, mapped_before);
        if (!stopped) {
            assert_true(last > 0 && n - 1 - last <= REST);
            break;
        }
    }
    stops = false;
    free(setting->expected);
    setting->expected = NULL;
}

static int build(struct setting *setting, struct hnsw **made)
{
    struct span span = vectors_span(&setting->v, 0, setting->v.rows);
    return hnsw_build(&setting->options, &(struct hnsw_rows){&span, 1, setting->v.keys}, made,
                      NULL);
}

/* Every second is gone, some are new, and some of them are what others are. */
static int update_of(const struct setting *setting, const struct hnsw *old, struct hnsw **made)
{
    enum { WORDS = 20 };
    uint64_t dead[WORDS];
    struct span span = vectors_span(&setting->v, 5, 40);
    assert_true(hnsw_slots(old) <= 64 * WORDS);
    for (int i = 0; i < WORDS; i++)
        dead[i] = UINT64_C(0xAAAAAAAAAAAAAAAA);
    return hnsw_update(old, &setting->options, dead,
                       &(struct hnsw_rows){&span, 1, setting->v.keys + 5}, made, NULL);
}

static int update(struct setting *setting, struct hnsw **made)
{
    return update_of(setting, setting->hnsw, made);
}

static int update_none(struct setting *setting, struct hnsw **made)
{
    return hnsw_update(setting->hnsw, &setting->options, NULL, &(struct hnsw_rows){NULL, 0, NULL},
                       made, NULL);
}

static int copy(struct setting *setting, struct hnsw **made)
{
    return hnsw_copy(setting->hnsw, made);
}

static int open_file(struct setting *setting, struct hnsw **made)
{
    struct buffer binding = {0};
    int rc = hnsw_open(&(struct hnsw_image){setting->file.bytes, setting->file.size},
                       &setting->v.space, &stop, made, &binding, NULL);
    assert_int_equal(binding.size, rc == 0 ? graph_binding.size : 0);
    buffer_clear(&binding);
    return rc;
}

static int open_and_copy(struct setting *setting, struct hnsw **made)
{
    struct hnsw *opened;
    int rc = open_file(setting, &opened);
    if (rc < 0)
        return rc;
    rc = hnsw_copy(opened, made);
    hnsw_free(opened);
    return rc;
}

static int open_and_update(struct setting *setting, struct hnsw **made)
{
    struct hnsw *opened;
    int rc = open_file(setting, &opened);
    if (rc < 0)
        return rc;
    rc = update_of(setting, opened, made);
    hnsw_free(opened);
    return rc;
}

/* What there was under the name stays. */
static int save(struct setting *setting, struct hnsw **made)
{
    (void)made;
    return hnsw_save(setting->hnsw, &graph_binding, setting->folder, "graph", &stop, NULL);
}

/* Each third slot, through the graph and by looking at all. */
static int search(struct setting *setting, struct hnsw **made)
{
    struct hnsw_searcher *searcher = NULL;
    struct hnsw_found found[30];
    uint32_t count = 999;
    struct query *query = NULL;
    uint64_t few[20] = {0x249249};
    struct span span = vectors_span(&setting->v, 1, 1);
    size_t size;
    const uint8_t *value = span_value(&span, 0, &size);
    (void)made;
    int rc = query_new(&setting->v.space, value, size, &query, NULL);
    if (rc == 0)
        rc = hnsw_searcher_new(setting->hnsw, &searcher);
    for (int i = 0; rc == 0 && i < 4; i++) {
        count = 999;
        const struct hnsw_question question = {.query = query,
                                               .k = i < 2 ? 30 : 5,
                                               .ef = i % 2 != 0 ? 100 : 10,
                                               .filter = i == 3 ? few : NULL,
                                               .stop = &stop};
        rc = hnsw_search(setting->hnsw, searcher, &question, found, &count, NULL);
        assert_int_equal(count, rc < 0 ? 999 : i < 2 ? 30 : 5);
    }
    hnsw_searcher_free(searcher);
    query_free(query);
    return rc;
}

static int check(struct setting *setting, struct hnsw **made)
{
    (void)made;
    return hnsw_check(setting->hnsw, NULL);
}

static const struct space spaces[] = {{ELEMENT_FLOAT32, METRIC_COSINE, 12},
                                      {ELEMENT_FLOAT16, METRIC_L1, 7},
                                      {ELEMENT_SPARSE, METRIC_IP, 300},
                                      {ELEMENT_BIT, METRIC_HAMMING, 70},
                                      {ELEMENT_FLOAT32, METRIC_L2, 3}};

static void setting_make(struct setting *setting, struct space space, uint32_t m, uint32_t rows)
{
    *setting = (struct setting){.options = {.space = space,
                                            .m = m,
                                            .ef_construction = 2 * m,
                                            .seed = 1,
                                            .threads = 1,
                                            .stop = &stop}};
    vectors_make(&setting->v, space, rows, 4);
    for (uint32_t row = 0; row < 10; row++)
        vectors_add_copy(&setting->v, row);
    assert_int_equal(build(setting, &setting->hnsw), 0);
}

static void setting_clear(struct setting *setting)
{
    hnsw_free(setting->hnsw);
    vectors_clear(&setting->v);
}

static void test_each(void **state)
{
    (void)state;
    static const char *const names[] = {"graph", NULL};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        struct setting setting;
        struct graph_folder folder;
        setting_make(&setting, spaces[i], 4, 90);
        graph_folder_open(&folder);
        setting.folder = folder.fd;
        assert_int_equal(save(&setting, NULL), 0);
        setting.file = graph_map(folder.fd, "graph");
        each_failure(build, &setting);
        each_failure(update, &setting);
        each_failure(update_none, &setting);
        each_failure(copy, &setting);
        each_failure(open_file, &setting);
        each_failure(open_and_copy, &setting);
        each_failure(open_and_update, &setting);
        each_failure(search, &setting);
        each_failure(check, &setting);
        each_failure(save, &setting);
        each_stop(build, &setting);
        each_stop(update, &setting);
        each_stop(update_none, &setting);
        each_stop(open_file, &setting);
        each_stop(open_and_update, &setting);
        each_stop(search, &setting);
        each_stop(save, &setting);
        setting.options.threads = 2;
        each_stop(build, &setting);
        each_stop(update, &setting);
        graph_unmap(setting.file);
        graph_folder_close(&folder, names);
        setting_clear(&setting);
    }
}

/* Long lists whose neighbours are gone, so that those of the threads must grow: what fails for one
 * slot is not forgotten over the next that goes well. */
static void test_long_lists(void **state)
{
    (void)state;
    struct setting setting;
    setting_make(&setting, (struct space){ELEMENT_FLOAT32, METRIC_L2, 100}, 100, 1200);
    reallocs = true;
    for (setting.options.threads = 1; setting.options.threads <= 2; setting.options.threads++)
        each_failure(update, &setting);
    reallocs = false;
    setting_clear(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each),
                                       cmocka_unit_test(test_long_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
