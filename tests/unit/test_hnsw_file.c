/* The index as a file: what comes back is what was saved, or it is refused. */
#include "index/hnsw.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "tests/unit/graphs.h"

static const struct space clustered = {ELEMENT_FLOAT32, METRIC_L2, 32};
static const char *const names[] = {"graph", NULL};
static struct graph_folder folder;
/* What is mapped stays so until the test ends. */
static struct graph_map maps[1024];
static size_t map_count;

static int set_up(void **state)
{
    (void)state;
    graph_folder_open(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    while (map_count > 0)
        graph_unmap(maps[--map_count]);
    graph_folder_close(&folder, names);
    return 0;
}

static int open_graph(const struct space *space, struct hnsw **out, struct buffer *binding)
{
    struct error error = {""};
    struct graph_map map = graph_map(folder.fd, "graph");
    *out = NULL;
    int rc =
        hnsw_open(&(struct hnsw_image){map.bytes, map.size}, space, NULL, out, binding, &error);
    assert_true((rc == 0) == (*out != NULL));
    assert_true((rc < 0) == (error.text[0] != '\0'));
    if (rc < 0) {
        graph_unmap(map);
        return rc;
    }
    assert_true(map_count < 1024);
    maps[map_count++] = map;
    return rc;
}

static void assert_binding(const struct buffer *binding)
{
    assert_int_equal(binding->size, graph_binding.size);
    assert_memory_equal(binding->data, graph_binding.bytes, graph_binding.size);
}

/* Opened, it is right and gives the answers that it gave. */
static void assert_same_answers(const struct hnsw *a, const struct hnsw *b,
                                const struct vectors *queries)
{
    assert_int_equal(hnsw_slots(a), hnsw_slots(b));
    for (uint32_t q = 0; q < queries->rows; q++) {
        struct query *query = vectors_query(queries, q);
        struct answer x = graph_search(a, query, 10, 40, NULL);
        struct answer y = graph_search(b, query, 10, 40, NULL);
        assert_int_equal(x.count, y.count);
        for (uint32_t i = 0; i < x.count; i++) {
            assert_int_equal(x.found[i].slot, y.found[i].slot);
            assert_true(x.found[i].distance == y.found[i].distance);
            assert_int_equal(graph_row(a, x.found[i].slot), graph_row(b, y.found[i].slot));
        }
        free(x.found);
        free(y.found);
        query_free(query);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    static const struct space spaces[] = {
        {ELEMENT_FLOAT32, METRIC_L2, 32},    {ELEMENT_FLOAT32, METRIC_COSINE, 100},
        {ELEMENT_FLOAT16, METRIC_L1, 9},     {ELEMENT_SPARSE, METRIC_IP, 3000},
        {ELEMENT_BIT, METRIC_JACCARD, 129},  {ELEMENT_BIT, METRIC_HAMMING, 1024},
        {ELEMENT_FLOAT32, METRIC_IP, 16000},
    };
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        struct vectors v;
        struct hnsw *opened;
        struct buffer binding = {0};
        struct hnsw_recall curves[2][HNSW_RECALLS] = {0};
        vectors_make(&v, spaces[i], spaces[i].dims < 10000 ? 400 : 40, i);
        struct hnsw *hnsw = graph_of(&v);
        assert_int_equal(hnsw_save(hnsw, &graph_binding, folder.fd, "graph", NULL, NULL), 0);
        assert_int_equal(buffer_append_text(&binding, "kept"), 0);
        assert_int_equal(open_graph(&spaces[i], &opened, &binding), 0);
        assert_memory_equal(binding.data, "kept", 4);
        assert_memory_equal(binding.data + 4, graph_binding.bytes, graph_binding.size);
        assert_int_equal(binding.size, 4 + graph_binding.size);
        assert_int_equal(hnsw_check(opened, NULL), 0);
        assert_int_equal(hnsw_rows(opened), hnsw_rows(hnsw));
        assert_memory_equal(hnsw_space(opened), &spaces[i], sizeof spaces[i]);
        assert_int_equal(hnsw_recall(opened, curves[0]), hnsw_recall(hnsw, curves[1]));
        assert_memory_equal(curves[0], curves[1], sizeof curves[0]);
        assert_same_answers(hnsw, opened, &v);
        assert_same_graph(hnsw, opened); /* saved once more, too */
        hnsw_free(hnsw);
        hnsw_free(opened);
        buffer_clear(&binding);
        vectors_clear(&v);
    }
}

static void test_empty(void **state)
{
    (void)state;
    struct vectors v, one;
    struct hnsw *opened;
    struct buffer binding = {0};
    vectors_init(&v, clustered, 1);
    vectors_make(&one, clustered, 1, 1);
    struct hnsw *hnsw = graph_of(&v);
    static const struct hnsw_binding nothing = {"", 0};
    assert_int_equal(hnsw_save(hnsw, &nothing, folder.fd, "graph", NULL, NULL), 0);
    assert_int_equal(open_graph(&clustered, &opened, &binding), 0);
    assert_int_equal(binding.size, 0);
    assert_same_answers(hnsw, opened, &one);
    hnsw_free(hnsw);
    hnsw_free(opened);
    buffer_clear(&binding);
    vectors_clear(&v);
    vectors_clear(&one);
}

/* What was opened can be brought up to date; its file is not touched by that, nor by being replaced
 * or deleted while it is mapped. */
static void test_opened_is_updated(void **state)
{
    (void)state;
    struct vectors v;
    struct hnsw_options options = graph_options(clustered);
    struct hnsw *opened, *of_built = NULL, *of_opened = NULL;
    struct buffer binding = {0};
    vectors_make(&v, clustered, 900, 1);
    struct span first = vectors_span(&v, 0, 600), rest = vectors_span(&v, 600, 300);
    struct hnsw *hnsw = NULL;
    assert_int_equal(hnsw_build(&options, &(struct hnsw_rows){&first, 1, v.keys}, &hnsw, NULL), 0);
    uint64_t dead[40] = {0x0F0F, 1, 1};
    assert_int_equal(hnsw_save(hnsw, &graph_binding, folder.fd, "graph", NULL, NULL), 0);
    assert_int_equal(open_graph(&clustered, &opened, &binding), 0);
    assert_int_equal(hnsw_update(hnsw, &options, dead, &(struct hnsw_rows){&rest, 1, v.keys + 600},
                                 &of_built, NULL),
                     0);
    assert_int_equal(hnsw_update(opened, &options, dead,
                                 &(struct hnsw_rows){&rest, 1, v.keys + 600}, &of_opened, NULL),
                     0);
    assert_same_graph(of_built, of_opened);
    assert_same_graph(hnsw, opened);
    assert_int_equal(hnsw_save(of_opened, &graph_binding, folder.fd, "graph", NULL, NULL), 0);
    assert_same_answers(hnsw, opened, &v);
    assert_int_equal(unlinkat(folder.fd, "graph", 0), 0);
    assert_same_answers(hnsw, opened, &v);
    hnsw_free(hnsw);
    hnsw_free(opened);
    hnsw_free(of_built);
    hnsw_free(of_opened);
    buffer_clear(&binding);
    vectors_clear(&v);
}

static void test_refused(void **state)
{
    (void)state;
    struct vectors v;
    struct hnsw *opened;
    struct buffer binding = {0};
    vectors_make(&v, clustered, 100, 1);
    struct hnsw *hnsw = graph_of(&v);
    assert_int_equal(hnsw_save(hnsw, &graph_binding, folder.fd, "graph", NULL, NULL), 0);
    static const struct space others[] = {{ELEMENT_FLOAT32, METRIC_L2, 31},
                                          {ELEMENT_FLOAT32, METRIC_L1, 32},
                                          {ELEMENT_FLOAT16, METRIC_L2, 32}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(open_graph(&others[i], &opened, &binding), -EBADMSG);
    assert_int_equal(binding.size, 0);
    /* Saving where that is not possible says so, and leaves what is there. */
    struct error error = {""};
    int nowhere = open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY);
    assert_true(hnsw_save(hnsw, &graph_binding, nowhere, "graph", NULL, &error) < 0);
    assert_true(error.text[0] != '\0');
    close(nowhere);
    assert_int_equal(unlinkat(folder.fd, "graph", 0), 0);
    assert_int_equal(mkdirat(folder.fd, "graph", 0700), 0);
    assert_true(hnsw_save(hnsw, &graph_binding, folder.fd, "graph", NULL, NULL) < 0);
    assert_int_equal(unlinkat(folder.fd, "graph", AT_REMOVEDIR), 0);
    hnsw_free(hnsw);
    buffer_clear(&binding);
    vectors_clear(&v);
}

/* ---- damage ---- */

struct victim {
    struct vectors v;
    struct hnsw *hnsw;
    uint8_t *file;
    size_t size;
};

static void victim_make(struct victim *victim, struct space space, uint32_t rows)
{
    vectors_make(&victim->v, space, rows, 21);
    vectors_add_copy(&victim->v, 0);
    victim->hnsw = graph_of(&victim->v);
    victim->file = graph_bytes(victim->hnsw, &victim->size);
}

static void victim_clear(struct victim *victim)
{
    vectors_clear(&victim->v);
    hnsw_free(victim->hnsw);
    free(victim->file);
}

/* Refused; or all that matters is as it was. Whether it was refused. */
static bool check_damaged(const struct victim *victim, const uint8_t *bytes, size_t size)
{
    struct hnsw *opened;
    struct buffer binding = {0};
    graph_put_file(folder.fd, "graph", bytes, size);
    int rc = open_graph(&victim->v.space, &opened, &binding);
    if (rc == 0) {
        assert_binding(&binding);
        assert_int_equal(hnsw_check(opened, NULL), 0);
        assert_same_answers(victim->hnsw, opened, &victim->v);
        hnsw_free(opened);
    } else {
        assert_int_equal(rc, -EBADMSG);
        assert_int_equal(binding.size, 0);
    }
    buffer_clear(&binding);
    return rc < 0;
}

static const struct space victims[] = {{ELEMENT_FLOAT32, METRIC_COSINE, 24},
                                       {ELEMENT_SPARSE, METRIC_L2, 300},
                                       {ELEMENT_BIT, METRIC_HAMMING, 70}};

/* ---- a file that was made to deceive ---- */

/* Opened with `number` in place of the first number of a section, if it is not refused at once;
 * neither a copy nor an update trusts it. */
static void check_deceived(const struct victim *victim, int section, uint32_t number)
{
    struct hnsw_options options = graph_options(victim->v.space);
    struct hnsw *opened, *made = NULL;
    struct buffer binding = {0};
    uint64_t dead[8] = {2};
    size_t size;
    uint8_t *at = graph_section(victim->file, section, &size), before[4];
    assert_true(size > 4);
    memcpy(before, at, 4);
    store_le32(at, number);
    graph_seal(victim->file, victim->size);
    graph_put_file(folder.fd, "graph", victim->file, victim->size);
    int rc = open_graph(&victim->v.space, &opened, &binding);
    assert_true(rc == -EBADMSG || (rc == 0 && section == GRAPH_LISTS));
    if (rc == 0) {
        assert_int_equal(
            hnsw_update(opened, &options, dead, &(struct hnsw_rows){NULL, 0, NULL}, &made, NULL),
            -EBADMSG);
        assert_int_equal(hnsw_copy(opened, &made), -EBADMSG);
        assert_null(made);
        hnsw_free(opened);
    }
    memcpy(at, before, 4);
    buffer_clear(&binding);
}

static void test_deceived(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof victims / sizeof *victims; i++) {
        struct victim victim;
        victim_make(&victim, victims[i], 60);
        check_deceived(&victim, GRAPH_LISTS, 0x7ffffff0); /* beyond all slots */
        check_deceived(&victim, GRAPH_TWINS, 0);          /* a ring */
        check_deceived(&victim, GRAPH_TWINS, 0x7ffffff0);
        victim_clear(&victim);
    }
}

/* Fewer or more slots are taken than there are rows. */
static void test_other_rows(void **state)
{
    (void)state;
    struct victim victim;
    struct hnsw *opened;
    struct buffer binding = {0};
    size_t size;
    victim_make(&victim, clustered, 60);
    memset(graph_section(victim.file, GRAPH_PLACES, &size) + 8 * 50, 0xff, 8);
    graph_seal(victim.file, victim.size);
    graph_put_file(folder.fd, "graph", victim.file, victim.size);
    assert_int_equal(open_graph(&clustered, &opened, &binding), -EBADMSG);
    victim_clear(&victim);
}

/* The file becomes zeroes once it is open, as one does that is cut short while it is mapped. */
static void test_zeroed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof victims / sizeof *victims; i++) {
        struct victim victim;
        struct hnsw *opened, *made;
        struct buffer binding = {0};
        struct hnsw_options options = graph_options(victims[i]);
        uint64_t dead[8] = {2};
        victim_make(&victim, victims[i], 60);
        graph_put_file(folder.fd, "graph", victim.file, victim.size);
        assert_int_equal(open_graph(&victims[i], &opened, &binding), 0);
        memset(victim.file, 0, victim.size);
        int fd = openat(folder.fd, "graph", O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(fd, victim.file, victim.size), victim.size);
        close(fd);
        struct query *query = vectors_query(&victim.v, 1);
        struct hnsw_searcher *searcher;
        struct hnsw_found found[10];
        uint32_t count;
        assert_int_equal(hnsw_searcher_new(opened, &searcher), 0);
        const struct hnsw_question question = {.query = query, .k = 10, .ef = 20};
        assert_int_equal(hnsw_search(opened, searcher, &question, found, &count, NULL), 0);
        hnsw_searcher_free(searcher);
        query_free(query);
        assert_int_equal(
            hnsw_update(opened, &options, dead, &(struct hnsw_rows){NULL, 0, NULL}, &made, NULL),
            -EBADMSG);
        assert_int_equal(hnsw_copy(opened, &made), -EBADMSG);
        hnsw_free(opened);
        buffer_clear(&binding);
        victim_clear(&victim);
    }
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof victims / sizeof *victims; i++) {
        struct victim victim;
        victim_make(&victim, victims[i], 60);
        assert_false(check_damaged(&victim, victim.file, victim.size));
        size_t pace = victim.size / 400 + 1;
        for (size_t cut = 0; cut < victim.size; cut += cut < 600 ? 1 : pace)
            if (!check_damaged(&victim, victim.file, cut))
                fail_msg("cut at %zu of %zu", cut, victim.size);
        assert_true(check_damaged(&victim, victim.file, victim.size - 1));
        victim_clear(&victim);
    }
}

/* One that has grown is not mapped, which would fill the page cache with it. */
static void test_grown(void **state)
{
    (void)state;
    struct victim victim;
    struct hnsw *opened;
    struct buffer binding = {0};
    victim_make(&victim, victims[0], 60);
    graph_put_file(folder.fd, "graph", victim.file, victim.size);
    int file = openat(folder.fd, "graph", O_WRONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, (off_t)200 << 30), 0);
    close(file);
    assert_int_equal(open_graph(&victim.v.space, &opened, &binding), -EBADMSG);
    buffer_clear(&binding);
    victim_clear(&victim);
}

static void test_flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof victims / sizeof *victims; i++) {
        struct victim victim;
        victim_make(&victim, victims[i], 60);
        size_t bits = 8 * victim.size, pace = bits / 500 | 1, refused = 0, all = 0;
        for (size_t bit = 0; bit < bits; bit += bit < 8 * 128 ? 7 : pace, all++) {
            victim.file[bit / 8] ^= (uint8_t)(1U << bit % 8);
            refused += check_damaged(&victim, victim.file, victim.size);
            victim.file[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        assert_true(refused > all / 2); /* the rest: padding */
        victim_clear(&victim);
    }
}

/* Pages that have not reached the disk: zeros, or what stood there before. */
static void test_torn(void **state)
{
    (void)state;
    struct victim victim, other;
    victim_make(&victim, clustered, 300);
    vectors_make(&other.v, clustered, 301, 5);
    other.hnsw = graph_of(&other.v);
    other.file = graph_bytes(other.hnsw, &other.size);
    uint8_t *bytes = malloc(victim.size);
    assert_non_null(bytes);
    for (size_t page = 0; page < victim.size; page += 4096) {
        size_t end = page + 4096 < victim.size ? page + 4096 : victim.size;
        memcpy(bytes, victim.file, victim.size);
        memset(bytes + page, 0, end - page);
        check_damaged(&victim, bytes, victim.size);
        memcpy(bytes, victim.file, victim.size);
        if (end <= other.size)
            memcpy(bytes + page, other.file + page, end - page);
        check_damaged(&victim, bytes, victim.size);
    }
    free(bytes);
    victim_clear(&victim);
    victim_clear(&other);
}

/* Told to stop, it leaves what was there; nothing is opened. */
static void test_stopped(void **state)
{
    (void)state;
    const atomic_bool stop = true;
    struct vectors v;
    struct hnsw *opened = NULL;
    struct buffer binding = {0};
    vectors_make(&v, clustered, 200, 1);
    struct hnsw *hnsw = graph_of(&v);
    assert_int_equal(hnsw_save(hnsw, &graph_binding, folder.fd, "graph", NULL, NULL), 0);
    struct graph_map map = graph_map(folder.fd, "graph");
    assert_int_equal(hnsw_save(hnsw, &graph_binding, folder.fd, "graph", &stop, NULL), -EINTR);
    assert_int_equal(hnsw_open(&(struct hnsw_image){map.bytes, map.size}, &clustered, &stop,
                               &opened, &binding, NULL),
                     -EINTR);
    assert_null(opened);
    graph_unmap(map);
    assert_int_equal(open_graph(&clustered, &opened, &binding), 0);
    hnsw_free(opened);
    hnsw_free(hnsw);
    buffer_clear(&binding);
    vectors_clear(&v);
}

/* ---- kill -9 ---- */

static void save_for_ever(const struct hnsw *hnsw, const struct hnsw_binding *binding)
{
    for (;;)
        if (hnsw_save(hnsw, binding, folder.fd, "graph", NULL, NULL) < 0)
            _exit(1);
}

/* There is the one before or the new one, and what a killed one left over does not stay for ever:
 * it is replaced by the next save. */
static void test_killed(void **state)
{
    (void)state;
    struct victim victim;
    uint64_t random = 5;
    victim_make(&victim, clustered, 400);
    assert_int_equal(hnsw_save(victim.hnsw, &graph_binding, folder.fd, "graph", NULL, NULL), 0);
    for (int i = 0; i < 60; i++) {
        struct hnsw *opened;
        struct buffer binding = {0};
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            save_for_ever(victim.hnsw, &graph_binding);
        usleep((useconds_t)(vectors_random(&random) % 20000));
        int status;
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status)); /* and did not fail */
        assert_int_equal(open_graph(&clustered, &opened, &binding), 0);
        assert_binding(&binding);
        if (i % 10 == 0)
            assert_same_answers(victim.hnsw, opened, &victim.v);
        hnsw_free(opened);
        buffer_clear(&binding);
    }
    assert_int_equal(hnsw_save(victim.hnsw, &graph_binding, folder.fd, "graph", NULL, NULL), 0);
    victim_clear(&victim);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip), TEST(test_empty),     TEST(test_opened_is_updated),
        TEST(test_refused),    TEST(test_deceived),  TEST(test_other_rows),
        TEST(test_zeroed),     TEST(test_truncated), TEST(test_grown),
        TEST(test_flipped),    TEST(test_torn),      TEST(test_killed),
        TEST(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
