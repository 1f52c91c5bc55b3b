#include "fs/rows/file_sizes.h"
#include "fs/rows/store.h"

#include "codec/record.h"
#include "fs/tables/file_time.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

static struct place place;

static int set_up(void **state)
{
    (void)state;
    place_open(&place, 10000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    place_close(&place);
    return 0;
}

static void reopen(void)
{
    store_close(place.store);
    assert_int_equal(store_open(place.dir, &place_name, 10000, &place.store, NULL), 0);
    place.fetch.store = place.store;
}

/* An "image" of `size` bytes in two pieces. */
static int put(uint32_t relation, uint64_t id, size_t size, char fill)
{
    static char bytes[20000];
    memset(bytes, fill, sizeof bytes);
    struct iovec pieces[] = {{bytes, size / 3}, {bytes, size - size / 3}};
    struct rowgroup_image image = {.pieces = pieces, .count = 2, .size = size};
    return store_put_group(place.store, relation, id, &image);
}

static void assert_group(uint32_t relation, uint64_t id, size_t size, char fill)
{
    uint8_t *bytes;
    size_t got;
    assert_int_equal(store_get_group(place.store, relation, id, 20000, &bytes, &got), 0);
    assert_int_equal(got, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], fill);
    free(bytes);
    assert_true(store_has_group(place.store, relation, id));
}

static void assert_no_group(uint32_t relation, uint64_t id)
{
    uint8_t *bytes;
    size_t got;
    assert_int_equal(store_get_group(place.store, relation, id, 20000, &bytes, &got), -ENOENT);
    assert_false(store_has_group(place.store, relation, id));
}

/* A path below the store's folder. */
static const char *path(const char *name)
{
    static char text[2][400];
    static int next;
    next ^= 1;
    snprintf(text[next], sizeof text[next], "%s/%s", store_path(place.store), name);
    return text[next];
}

static void write_file(const char *name, const char *text, size_t size)
{
    FILE *file = fopen(path(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void test_put_get_drop(void **state)
{
    (void)state;
    assert_no_group(1, 5);
    assert_int_equal(put(1, 5, 100, 'a'), 0);
    assert_int_equal(put(1, 6, 0, 'a'), 0);
    assert_int_equal(put(2, 5, 200, 'b'), 0);
    assert_group(1, 5, 100, 'a');
    assert_group(1, 6, 0, 'a');
    assert_group(2, 5, 200, 'b');
    assert_no_group(2, 6);
    assert_true(store_used(place.store) == 300);
    store_drop_group(place.store, 1, 5);
    store_drop_group(place.store, 1, 5);
    assert_no_group(1, 5);
    assert_true(store_used(place.store) == 200);
}

/* A group that is there is not put again: whoever has been faster has put the same. */
static void test_put_twice(void **state)
{
    (void)state;
    assert_int_equal(put(1, 5, 100, 'a'), 0);
    assert_int_equal(put(1, 5, 300, 'b'), -EEXIST);
    assert_group(1, 5, 100, 'a');
    assert_true(store_used(place.store) == 100);
}

static void test_limit(void **state)
{
    (void)state;
    assert_true(store_limit(place.store) == 10000);
    assert_int_equal(put(1, 1, 10001, 'a'), -ENOSPC);
    assert_no_group(1, 1);
    assert_true(store_used(place.store) == 0);
    assert_int_equal(put(1, 1, 6000, 'a'), 0);
    assert_int_equal(put(1, 2, 4001, 'a'), -ENOSPC);
    assert_int_equal(put(1, 2, 4000, 'a'), 0);
    assert_int_equal(put(1, 3, 1, 'a'), -ENOSPC);
    store_drop_group(place.store, 1, 2);
    assert_int_equal(put(1, 3, 1, 'a'), 0);
}

static void test_survives_reopening(void **state)
{
    (void)state;
    uint64_t id = store_new_id(place.store);
    assert_int_equal(put(1, id, 100, 'a'), 0);
    assert_int_equal(put(1, id + 1000, 50, 'b'), 0);
    reopen();
    assert_true(store_used(place.store) == 150);
    assert_group(1, id, 100, 'a');
    assert_true(store_new_id(place.store) > id + 1000);
}

/* A file with an id that no clock leads to does not make ids begin again: it goes. */
static void test_last_id(void **state)
{
    (void)state;
    uint64_t id = store_new_id(place.store);
    assert_int_equal(put(1, 5, 1, 'a'), 0);
    assert_int_equal(put(1, UINT64_MAX, 100, 'a'), 0);
    reopen();
    assert_true(store_new_id(place.store) >= id);
    assert_true(store_used(place.store) == 1);
    assert_no_group(1, UINT64_MAX);
    assert_group(1, 5, 1, 'a');
}

/* Nor does it make them go on from where the files that come next would be left over. */
static void test_ids_at_their_end(void **state)
{
    (void)state;
    uint64_t late[] = {(UINT64_C(1) << 62) - 1, UINT64_C(1) << 61, store_id_end() + (1 << 30)};
    for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
        assert_int_equal(put(1, late[i], 100, 'a'), 0);
        reopen();
        assert_no_group(1, late[i]);
        store_note_id(place.store, late[i]);
        uint64_t id = store_new_id(place.store);
        assert_true(id < late[i] && id < store_id_end());
        assert_int_equal(put(1, id, 1, 'b'), 0);
        reopen();
        assert_group(1, id, 1, 'b');
    }
    /* As far ahead as a clock may have been. */
    uint64_t ahead = store_id_end() - (1 << 26);
    assert_int_equal(put(1, ahead, 1, 'c'), 0);
    reopen();
    uint64_t id = store_new_id(place.store);
    assert_true(id > ahead);
    assert_int_equal(put(1, id, 1, 'd'), 0);
    reopen();
    assert_group(1, ahead, 1, 'c');
    assert_group(1, id, 1, 'd');
}

static void test_is_private(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(put(1, 5, 1, 'a'), 0);
    assert_int_equal(chmod(store_path(place.store), 0755), 0);
    reopen();
    static const char *const names[] = {".", "1", "1/0000000000000005.rows", "lock"};
    static const unsigned modes[] = {0700, 0700, 0600, 0600};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(stat(path(names[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, modes[i]);
    }
}

/* What is called almost as we call it is not ours: not counted, not swept. */
static void test_foreign_files(void **state)
{
    (void)state;
    assert_int_equal(put(5, 7, 100, 'a'), 0);
    static const char *const names[] = {"5/0x00000000000007.rows",
                                        "5/+000000000000007.rows",
                                        "5/0000000000000007.ROWS",
                                        "5/000000000000000A.rows",
                                        "5/000000000000007.rows",
                                        "5/0000000000000007.rows.new",
                                        "5/ 000000000000007.rows",
                                        "readme",
                                        "5/notes"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        write_file(names[i], "foreign", 7);
    assert_int_equal(mkdir(path("05"), 0700), 0);
    assert_int_equal(mkdir(path("+5"), 0700), 0);
    assert_int_equal(mkdir(path("5x"), 0700), 0);
    assert_int_equal(mkdir(path("5/000000000000000b.rows"), 0700), 0);
    reopen();
    assert_true(store_used(place.store) == 100);
    store_drop_group(place.store, 5, 11); /* the folder */
    assert_true(store_used(place.store) == 100);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(access(path(names[i]), F_OK), 0);
}

static void test_sweep(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 6; id++)
        assert_int_equal(put(3, id, 10, 'a'), 0);
    assert_int_equal(put(4, 2, 10, 'a'), 0);
    static const uint64_t odd[] = {0, 1, 3, 5, 7};
    store_sweep(place.store, 3, odd, 5);
    for (uint64_t id = 1; id <= 6; id++)
        assert_int_equal(store_has_group(place.store, 3, id), id % 2 == 1);
    assert_true(store_has_group(place.store, 4, 2));
    assert_true(store_used(place.store) == 40);
    store_sweep(place.store, 99, odd, 5);
    store_sweep(place.store, 4, odd, 0);
    assert_true(store_used(place.store) == 30);
}

/* ---- how many ids are looked at ---- */

enum { ID_PAGE = 4096, ID_PAGES = 1024 };

static uint8_t *id_pages; /* of which each is made readable when it is first read */
static volatile sig_atomic_t pages_read;

static void make_readable(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    size_t at = (size_t)((uint8_t *)info->si_addr - id_pages);
    if (at >= (size_t)ID_PAGES * ID_PAGE)
        abort();
    mprotect(id_pages + at / ID_PAGE * ID_PAGE, ID_PAGE, PROT_READ);
    pages_read++;
}

/* A sweep of many files among many ids looks at few of them for each file. */
static void test_sweep_of_many(void **state)
{
    (void)state;
    size_t size = (size_t)ID_PAGES * ID_PAGE, count = size / sizeof(uint64_t);
    id_pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(id_pages, MAP_FAILED);
    uint64_t *ids = (uint64_t *)id_pages;
    for (size_t i = 0; i < count; i++)
        ids[i] = 2 * i;
    for (uint64_t id = 0; id < 8; id++)
        assert_int_equal(put(3, count / 8 * id + id % 2, 10, 'a'), 0);
    struct sigaction reading = {.sa_sigaction = make_readable, .sa_flags = SA_SIGINFO}, before;
    assert_int_equal(mprotect(id_pages, size, PROT_NONE), 0);
    assert_int_equal(sigaction(SIGSEGV, &reading, &before), 0);
    pages_read = 0;
    store_sweep(place.store, 3, ids, count);
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
    assert_true(pages_read > 0 && pages_read <= 8 * 11); /* 2^10 pages: eleven steps for a file */
    for (uint64_t id = 0; id < 8; id++)
        assert_int_equal(store_has_group(place.store, 3, count / 8 * id + id % 2),
                         (count / 8 * id + id % 2) % 2 == 0);
    munmap(id_pages, size);
}

static void add_relation(void *context, uint32_t relation) { *(uint64_t *)context += relation; }

struct kinds {
    int count, tables, odd;
};

static void count_kind(void *context, const char *kind)
{
    struct kinds *kinds = context;
    kinds->count++;
    kinds->tables += strcmp(kind, "table") == 0;
    kinds->odd += strcmp(kind, "00aa-1") == 0;
}

static void test_drop_relation(void **state)
{
    (void)state;
    uint8_t byte = 1;
    const struct buffer record = {&byte, 1, 1};
    struct kinds kinds = {0};
    assert_int_equal(put(1, 1, 10, 'a'), 0);
    assert_int_equal(put(1, 2, 20, 'b'), 0);
    assert_int_equal(put(2, 3, 40, 'c'), 0);
    assert_int_equal(store_put_record(place.store, 1, "table", &record), 0);
    assert_int_equal(store_put_record(place.store, 1, "00aa-1", &record), 0);
    store_each_record(place.store, 1, count_kind, &kinds);
    assert_true(kinds.count == 2 && kinds.tables == 1 && kinds.odd == 1);
    assert_int_equal(access(path("1"), F_OK), 0);
    store_drop_relation(place.store, 1);
    store_drop_relation(place.store, 99);
    assert_int_equal(access(path("1"), F_OK), -1);
    assert_true(store_used(place.store) == 40);
    assert_no_group(1, 1);
    assert_group(2, 3, 40, 'c');
    store_each_record(place.store, 1, count_kind, &kinds);
    assert_int_equal(kinds.count, 2);
    assert_int_equal(put(1, 4, 10, 'd'), 0);
    assert_group(1, 4, 10, 'd');
}

static void test_time_sweep(void **state)
{
    (void)state;
    enum { NOW = 1700000000, DAY = 86400 };
    static const struct {
        const char *kind;
        int64_t mtime;
        bool stays;
    } records[] = {{"00000000000000aa-0", NOW - DAY - 1, false},
                   {"00000000000000ab-1", NOW - DAY, true},
                   {"00000000000000ac-0", NOW + 5, true},
                   {"secret", 0, true},
                   {"aa-0", 0, true}};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct text record = {0};
        record_put_u64(&record, (uint64_t)records[i].mtime);
        assert_int_equal(store_put_record(place.store, 0, records[i].kind, &record.bytes), 0);
        text_clear(&record);
    }
    file_time_sweep(place.store, NOW);
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct buffer record = {0};
        assert_int_equal(store_get_record(place.store, 0, records[i].kind, &record),
                         records[i].stays ? 0 : -ENOENT);
        buffer_clear(&record);
    }
}

static void test_each(void **state)
{
    (void)state;
    uint64_t sum = 0;
    assert_int_equal(put(3, 1, 1, 'a'), 0);
    assert_int_equal(put(4000000000U, 1, 1, 'a'), 0);
    store_each(place.store, add_relation, &sum);
    assert_true(sum == 4000000003U);
}

static bool two_is_used(void *context, uint32_t relation)
{
    (void)context;
    return relation == 2;
}

static void set_used(const char *relation, time_t when)
{
    struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    assert_int_equal(utimensat(AT_FDCWD, path(relation), times, 0), 0);
}

/* The longest unused goes first, what is in use never. */
static void test_make_room(void **state)
{
    (void)state;
    for (uint32_t relation = 1; relation <= 4; relation++)
        assert_int_equal(put(relation, 1, 2000, 'a'), 0);
    /* What was read since decides, too; that the groups were written one after another does not. */
    static const char *const groups[] = {"1/0000000000000001.rows", "2/0000000000000001.rows",
                                         "3/0000000000000001.rows", "4/0000000000000001.rows"};
    for (size_t i = 0; i < 4; i++)
        set_used(groups[i], 500);
    set_used("2", 1000);
    set_used("3", 2000);
    set_used("1", 3000);
    set_used("4", 4000);
    assert_true(store_make_room(place.store, 2000, false, two_is_used, NULL));
    assert_true(store_used(place.store) == 8000);
    assert_true(store_make_room(place.store, 2001, false, two_is_used, NULL));
    assert_no_group(3, 1);
    assert_true(store_used(place.store) == 6000);
    store_touch(place.store, 1); /* now 4 is older */
    assert_true(store_make_room(place.store, 6000, false, two_is_used, NULL));
    assert_no_group(4, 1);
    assert_group(1, 1, 2000, 'a');
    assert_group(2, 1, 2000, 'a');
    assert_false(store_make_room(place.store, 10001, false, two_is_used, NULL));
    assert_group(2, 1, 2000, 'a');
}

/* On a full disk there is room for what is there, and no more. */
static void test_make_room_on_a_full_disk(void **state)
{
    (void)state;
    for (uint32_t relation = 1; relation <= 3; relation++)
        assert_int_equal(put(relation, 1, 2000, 'a'), 0);
    set_used("3", 1000);
    assert_true(store_disk_is_full(place.store, 4000));
    assert_false(store_disk_is_full(place.store, 4001));
    assert_true(store_make_room(place.store, 0, true, two_is_used, NULL));
    assert_true(store_used(place.store) == 6000);
    set_used("1/0000000000000001.rows", 500);
    set_used("3/0000000000000001.rows", 500);
    assert_true(store_make_room(place.store, 1000, true, two_is_used, NULL));
    assert_no_group(3, 1);
    assert_true(store_used(place.store) == 4000);
    assert_false(store_make_room(place.store, 3000, true, two_is_used, NULL));
    assert_no_group(1, 1);
    assert_group(2, 1, 2000, 'a');
}

/* ---- index files ---- */

static int write_index(void *context, int folder, const char *name)
{
    size_t size = *(const size_t *)context;
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = fd < 0 || ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static int fail_to_write(void *context, int folder, const char *name)
{
    (void)context, (void)folder, (void)name;
    return -EDQUOT;
}

static int put_index(uint32_t relation, uint64_t id, size_t size, size_t guess)
{
    return store_put_index(place.store, relation, id, guess, write_index, &size);
}

static const char index_of_3[] = "3/000000000000000a.hnsw";

static void test_index_files(void **state)
{
    (void)state;
    struct buffer record = {0};
    assert_int_equal(put_index(3, 10, 500, 400), 0);
    assert_int_equal(access(path(index_of_3), F_OK), 0);
    assert_true(store_used(place.store) == 500);
    assert_int_equal(put_index(3, 10, 300, 9000), 0); /* in place of that one */
    assert_true(store_used(place.store) == 300);
    assert_int_equal(put_index(3, 11, 300, 9701), -ENOSPC);
    assert_int_equal(store_put_index(place.store, 3, 10, 5, fail_to_write, NULL), -ENOSPC);
    assert_true(store_used(place.store) == 300);
    store_drop_index(place.store, 3, 99);
    assert_true(store_used(place.store) == 300);
    assert_int_equal(put(3, 10, 100, 'a'), 0); /* a group's ids are others */
    assert_int_equal(store_put_record(place.store, 3, "table", &record), 0);
    write_file("3/000000000000000a.hnsw.new", "left over", 9);
    write_file("3/000000000000000A.hnsw", "foreign", 7);
    reopen();
    assert_true(store_used(place.store) == 400);
    assert_int_equal(access(path("3/000000000000000a.hnsw.new"), F_OK), -1);
    assert_int_equal(access(path("3/000000000000000A.hnsw"), F_OK), 0);
    store_drop_record(place.store, 3, "table");
    reopen();
    assert_true(store_used(place.store) == 100);
    assert_int_equal(access(path(index_of_3), F_OK), -1);
    assert_true(store_has_group(place.store, 3, 10));
}

/* It goes in its turn, as groups do. */
static bool is_used_from_now(void *context, uint32_t relation)
{
    bool *asked = context, used = *asked;
    *asked = true;
    return relation == 1 && used;
}

/* What somebody opens after it was chosen to go stays. */
static void test_make_room_asks_again(void **state)
{
    (void)state;
    bool asked = false;
    assert_int_equal(put(1, 1, 5000, 'a'), 0);
    assert_false(store_make_room(place.store, 9000, false, is_used_from_now, &asked));
    assert_group(1, 1, 5000, 'a');
}

struct opener {
    sem_t chosen;
    int asked;
};

/* Answers the second question only once the other thread had its turn. */
static bool is_used_too_late(void *context, uint32_t relation)
{
    struct opener *opener = context;
    (void)relation;
    if (++opener->asked == 2) {
        sem_post(&opener->chosen);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return false;
}

static void *make_room(void *context)
{
    assert_true(store_make_room(place.store, 9000, false, is_used_too_late, context));
    return NULL;
}

/* Who begins to use a relation and then waits so sees what is still there. */
static void test_await_drops(void **state)
{
    (void)state;
    struct opener opener = {0};
    pthread_t thread;
    sem_init(&opener.chosen, 0, 0);
    assert_int_equal(put(1, 1, 5000, 'a'), 0);
    store_await_drops(place.store);
    assert_true(store_has_group(place.store, 1, 1));
    assert_int_equal(pthread_create(&thread, NULL, make_room, &opener), 0);
    while (sem_wait(&opener.chosen) < 0)
        continue;
    store_await_drops(place.store);
    assert_false(store_has_group(place.store, 1, 1));
    pthread_join(thread, NULL);
    sem_destroy(&opener.chosen);
}

static void test_index_files_make_room(void **state)
{
    (void)state;
    assert_int_equal(put(1, 1, 3000, 'a'), 0);
    assert_int_equal(put_index(2, 10, 3000, 3000), 0);
    assert_int_equal(put_index(3, 10, 3000, 3000), 0);
    set_used("2", 1000);
    set_used("3", 2000);
    set_used("3/000000000000000a.hnsw", 1000);
    assert_true(store_make_room(place.store, 4000, false, two_is_used, NULL));
    assert_int_equal(access(path(index_of_3), F_OK), -1);
    assert_int_equal(access(path("2/000000000000000a.hnsw"), F_OK), 0);
    assert_true(store_used(place.store) == 6000);
    char name[STORE_INDEX_NAME];
    assert_int_equal(store_open_index(place.store, 77, 10, name), -ENOENT);
    assert_int_equal(access(path("77"), F_OK), -1);
    set_used("2/000000000000000a.hnsw", 1000);
    int folder = store_open_index(place.store, 2, 10, name); /* it is used */
    assert_true(folder >= 0);
    close(folder);
    struct stat st;
    assert_int_equal(stat(path("2/000000000000000a.hnsw"), &st), 0);
    assert_true(st.st_mtime > 1000000);
}

/* A link in the place of a file is never followed, neither to be read nor to be written. */
static void test_symlinks(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t size;
    struct buffer record = {0};
    assert_int_equal(buffer_append_text(&record, "new"), 0);
    write_file("victim", "victim", 6);
    assert_int_equal(put(1, 1, 1, 'a'), 0);
    assert_int_equal(symlink("../victim", path("1/0000000000000002.rows")), 0);
    assert_int_equal(symlink("../victim", path("1/table.record")), 0);
    assert_int_equal(symlink("../victim", path("1/table.record.new")), 0);
    assert_int_equal(store_get_group(place.store, 1, 2, 20000, &bytes, &size), -ELOOP);
    assert_int_not_equal(put(1, 2, 100, 'a'), 0);
    assert_int_not_equal(store_get_record(place.store, 1, "table", &record), 0);
    assert_int_not_equal(store_put_record(place.store, 1, "table", &record), 0);
    struct stat st;
    assert_int_equal(stat(path("victim"), &st), 0);
    assert_int_equal(st.st_size, 6);
    reopen();
    assert_true(store_used(place.store) == 1);
    buffer_clear(&record);
}

static void test_not_regular_files(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t size;
    assert_int_equal(put(1, 1, 1, 'a'), 0);
    assert_int_equal(mkdir(path("1/0000000000000002.rows"), 0700), 0);
    assert_true(store_get_group(place.store, 1, 2, 20000, &bytes, &size) < 0);
    store_drop_group(place.store, 1, 2);
}

/* A file that has grown, as sparse as it may be, is damaged: no memory is asked for it. */
static void test_vast_files(void **state)
{
    (void)state;
    static const off_t vast = (off_t)200 << 30;
    uint8_t *bytes;
    size_t size;
    struct mapping *mapping;
    struct buffer record = {0};
    assert_int_equal(put(1, 1, 1000, 'a'), 0);
    assert_int_equal(store_get_group(place.store, 1, 1, 999, &bytes, &size), -EBADMSG);
    assert_int_equal(store_map_group(place.store, 1, 1, 999, &mapping), -EBADMSG);
    assert_group(1, 1, 1000, 'a');
    assert_int_equal(truncate(path("1/0000000000000001.rows"), vast), 0);
    assert_int_equal(store_get_group(place.store, 1, 1, 1000, &bytes, &size), -EBADMSG);
    assert_int_equal(store_map_group(place.store, 1, 1, 1000, &mapping), -EBADMSG);
    assert_int_equal(store_put_record(place.store, 1, "table", &record), 0);
    assert_int_equal(truncate(path("1/table.record"), vast), 0);
    assert_int_equal(store_get_record(place.store, 1, "table", &record), -EBADMSG);
    record.size = RECORD_BYTES_MOST + 1; /* one that could not be read back is not written */
    assert_int_equal(store_put_record(place.store, 1, "ddl", &record), -EFBIG);
    assert_int_equal(access(path("1/ddl.record"), F_OK), -1);
}

/* How many of the pages of a mapping are in memory. */
static size_t pages_there(const struct mapping *mapping)
{
    unsigned char there[1024];
    size_t size, count = 0;
    void *bytes = (void *)(uintptr_t)mapping_bytes(mapping, &size);
    size_t pages = size / 4096;
    assert_true(pages <= sizeof there);
    assert_int_equal(mincore(bytes, size, there), 0);
    for (size_t i = 0; i < pages; i++)
        count += there[i] & 1;
    return count;
}

/* Of a mapping of which little is read the kernel reads the pages that are touched, and the ranges
 * that are expected. */
static void test_read_little(void **state)
{
    (void)state;
    enum { SIZE = 1024 * 4096 };
    static uint8_t filler[SIZE];
    struct mapping *mapping;
    size_t size;
    memset(filler, 'f', sizeof filler);
    int fd = open(path("sparse"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, filler, SIZE), SIZE);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    assert_int_equal(mapping_open(fd, SIZE, &mapping), 0);
    close(fd);
    bool forgets = pages_there(mapping) == 0; /* a file in memory alone stays there */
    mapping_read_little(mapping);
    const uint8_t *bytes = mapping_bytes(mapping, &size);
    assert_int_equal(bytes[0], 'f');
    if (forgets)
        assert_true(pages_there(mapping) <= 16);
    mapping_expect(mapping, SIZE - 10000, 5000);
    mapping_expect(mapping, SIZE - 10000, UINT64_MAX);
    mapping_expect(mapping, SIZE + 10000, 1);
    mapping_expect(mapping, UINT64_MAX, UINT64_MAX);
    assert_int_equal(bytes[SIZE - 1], 'f');
    if (forgets)
        assert_true(pages_there(mapping) <= 64);
    mapping_close(mapping);
}

/* What was added for a file is taken off with it, whatever has become of it. */
static void test_counting(void **state)
{
    (void)state;
    static const off_t sizes[] = {(off_t)200 << 30, 0, 7000, 1};
    assert_int_equal(put(9, 9, 100, 'a'), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(put(1, 1, 5000, 'a'), 0);
        assert_int_equal(truncate(path("1/0000000000000001.rows"), sizes[i]), 0);
        assert_true(store_used(place.store) == 5100);
        store_drop_group(place.store, 1, 1);
        assert_true(store_used(place.store) == 100);
        assert_int_equal(put_index(1, 1, 4000, 4000), 0);
        assert_int_equal(truncate(path("1/0000000000000001.hnsw"), sizes[i]), 0);
        store_drop_index(place.store, 1, 1);
        assert_true(store_used(place.store) == 100);
    }
    assert_int_equal(put(1, 1, 5000, 'a'), 0); /* a folder in its place */
    assert_int_equal(unlink(path("1/0000000000000001.rows")), 0);
    assert_int_equal(mkdir(path("1/0000000000000001.rows"), 0700), 0);
    store_drop_group(place.store, 1, 1);
    assert_true(store_used(place.store) == 100);
    assert_int_equal(rmdir(path("1/0000000000000001.rows")), 0);
    assert_int_equal(put(1, 1, 5000, 'a'), 0); /* deleted by others, and put back */
    assert_int_equal(unlink(path("1/0000000000000001.rows")), 0);
    assert_int_equal(put(1, 1, 4000, 'a'), 0);
    assert_true(store_used(place.store) == 4100);
}

/* A cache that somebody else has emptied is empty. */
static void test_emptied(void **state)
{
    (void)state;
    assert_int_equal(put(1, 1, 5000, 'a'), 0);
    assert_int_equal(put(2, 1, 3000, 'a'), 0);
    assert_int_equal(put_index(1, 1, 2000, 2000), 0);
    assert_int_equal(unlink(path("1/0000000000000001.rows")), 0);
    assert_int_equal(unlink(path("1/0000000000000001.hnsw")), 0);
    assert_int_equal(rmdir(path("1")), 0);
    assert_int_equal(put(3, 1, 7000, 'a'), -ENOSPC);
    assert_true(store_make_room(place.store, 7000, false, two_is_used, NULL));
    assert_true(store_used(place.store) == 3000);
    assert_int_equal(put(3, 1, 7000, 'a'), 0);
    assert_group(2, 1, 3000, 'a');
}

/* Many of them, in and out. */
static void test_file_sizes(void **state)
{
    (void)state;
    struct file_sizes sizes = {0};
    uint64_t before, sum = 0;
    enum { MANY = 5000 };
    assert_true(file_sizes_remove(&sizes, (struct file_key){1, 1, false}) == 0);
    for (uint64_t i = 0; i < MANY; i++) {
        struct file_key key = {i / 4, (uint32_t)(i / 2 % 2), i % 2 != 0};
        assert_int_equal(file_sizes_set(&sizes, key, i + 1, &before), 0);
        assert_true(before == 0);
        assert_int_equal(file_sizes_set(&sizes, key, i + 2, &before), 0);
        assert_true(before == i + 1);
        if (i % 3 == 0) {
            assert_true(file_sizes_remove(&sizes, key) == i + 2);
            assert_true(file_sizes_remove(&sizes, key) == 0);
        }
    }
    struct file_key *keys;
    size_t count;
    assert_int_equal(file_sizes_list(&sizes, &keys, &count), 0);
    assert_int_equal(count, MANY - (MANY + 2) / 3);
    for (size_t i = 0; i < count; i++)
        sum += file_sizes_remove(&sizes, keys[i]);
    for (uint64_t i = 0; i < MANY; i++)
        sum -= i % 3 != 0 ? i + 2 : 0;
    assert_true(sum == 0 && sizes.count == 0);
    free(keys);
    file_sizes_clear(&sizes);
}

/* Each daemon has a slot of its own. */
static void test_slots(void **state)
{
    (void)state;
    enum { MOST = 64 };
    struct store *stores[MOST];
    struct error error = {""};
    stores[0] = place.store;
    for (int i = 1; i < MOST; i++) {
        assert_int_equal(store_open(place.dir, &place_name, 1, &stores[i], NULL), 0);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(store_path(stores[i]), store_path(stores[k]));
    }
    struct store *more = NULL;
    assert_int_equal(store_open(place.dir, &place_name, 1, &more, &error), -EWOULDBLOCK);
    assert_null(more);
    assert_true(error.text[0] != '\0');
    char freed[400];
    snprintf(freed, sizeof freed, "%s", store_path(stores[9]));
    store_close(stores[9]);
    assert_int_equal(store_open(place.dir, &place_name, 1, &stores[9], NULL), 0);
    assert_string_equal(store_path(stores[9]), freed);
    for (int i = 1; i < MOST; i++)
        store_close(stores[i]);
}

/* Another cluster, database or role has another folder. */
static void test_names(void **state)
{
    (void)state;
    static const struct store_name names[] = {
        {8, 5, "tester", NULL}, {7, 6, "tester", NULL}, {7, 5, "other", NULL}};
    for (size_t i = 0; i < 3; i++) {
        struct store *store;
        assert_int_equal(store_open(place.dir, &names[i], 1, &store, NULL), 0);
        assert_string_not_equal(store_path(store), store_path(place.store));
        size_t n = strlen(store_path(store));
        assert_string_equal(store_path(store) + n - 2, "-0");
        store_close(store);
    }
}

static void test_directories_that_cannot_be(void **state)
{
    (void)state;
    struct store *store;
    struct error error = {""};
    write_file("file", "x", 1);
    assert_int_equal(store_open(path("file"), &place_name, 1, &store, &error), -ENOTDIR);
    assert_non_null(strstr(error.text, "cache_dir"));
    assert_true(store_open("/proc/none", &place_name, 1, &store, &error) < 0);
}

static void test_records(void **state)
{
    (void)state;
    struct buffer record = {0}, back = {0};
    assert_int_equal(store_get_record(place.store, 1, "table", &back), -ENOENT);
    for (size_t size = 0; size < 300; size++) {
        back.size = 0;
        assert_int_equal(buffer_append_text(&back, "kept"), 0);
        assert_int_equal(store_put_record(place.store, 1, "table", &record), 0);
        assert_int_equal(store_get_record(place.store, 1, "table", &back), 0);
        assert_int_equal(back.size, 4 + size);
        assert_memory_equal(back.data, "kept", 4);
        assert_true(size == 0 || memcmp(back.data + 4, record.data, size) == 0);
        assert_int_equal(buffer_append_byte(&record, (uint8_t)(size * 7)), 0);
    }
    assert_int_equal(store_get_record(place.store, 1, "ddl", &back), -ENOENT);
    assert_true(store_used(place.store) == 0);
    assert_int_equal(access(path("1/table.record.new"), F_OK), -1);
    store_drop_record(place.store, 1, "table");
    store_drop_record(place.store, 1, "table");
    assert_int_equal(store_get_record(place.store, 1, "table", &back), -ENOENT);
    buffer_clear(&record);
    buffer_clear(&back);
}

/* Torn at any byte, lengthened, or with any bit turned over: refused, and nothing appended. */
static void test_damaged_records(void **state)
{
    (void)state;
    struct buffer record = {0}, back = {0};
    assert_int_equal(buffer_append_text(&record, "a record of some bytes"), 0);
    assert_int_equal(store_put_record(place.store, 1, "table", &record), 0);
    char file[100];
    FILE *from = fopen(path("1/table.record"), "rb");
    assert_non_null(from);
    size_t size = fread(file, 1, sizeof file, from);
    fclose(from);
    assert_int_equal(size, 16 + record.size);
    for (size_t cut = 0; cut <= size + 1; cut++) {
        file[size] = 0;
        write_file("1/table.record", file, cut);
        assert_int_equal(store_get_record(place.store, 1, "table", &back),
                         cut == size ? 0 : -EBADMSG);
        assert_int_equal(back.size, cut >= size ? record.size : 0);
    }
    back.size = 0;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        file[bit / 8] ^= (char)(1 << bit % 8);
        write_file("1/table.record", file, size);
        file[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(store_get_record(place.store, 1, "table", &back), -EBADMSG);
        assert_int_equal(back.size, 0);
    }
    buffer_clear(&record);
    buffer_clear(&back);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_put_get_drop),
        TEST(test_put_twice),
        TEST(test_limit),
        TEST(test_survives_reopening),
        TEST(test_last_id),
        TEST(test_ids_at_their_end),
        TEST(test_is_private),
        TEST(test_foreign_files),
        TEST(test_sweep),
        TEST(test_sweep_of_many),
        TEST(test_drop_relation),
        TEST(test_time_sweep),
        TEST(test_each),
        TEST(test_make_room),
        TEST(test_make_room_asks_again),
        TEST(test_await_drops),
        TEST(test_make_room_on_a_full_disk),
        TEST(test_index_files),
        TEST(test_index_files_make_room),
        TEST(test_symlinks),
        TEST(test_not_regular_files),
        TEST(test_vast_files),
        TEST(test_read_little),
        TEST(test_counting),
        TEST(test_emptied),
        TEST(test_file_sizes),
        TEST(test_slots),
        TEST(test_names),
        TEST(test_directories_that_cannot_be),
        TEST(test_records),
        TEST(test_damaged_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
