/* Conversations where memory or threads are short. The tables are none, the threads are made up here:
 * these functions stand in for those of fs/. */
#include "fs/tree/ask.h"

#include "fs/base/workers.h"
#include "fs/options.h"
#include "fs/request.h"
#include "fs/tables/listing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct fixture {
    struct options options;
    struct mount mount;
    struct tree tree;
    struct node node;
    struct ask *ask;
    void (*work)(void *); /* of a thread that is to run */
    void *argument;
    bool no_threads, no_memory;
    int checks; /* of the catalog that were wanted */
} fixture;

int workers_add(struct workers *workers, void (*work)(void *), void *argument, int urgent)
{
    (void)workers, (void)urgent;
    if (fixture.no_threads)
        return -ENOMEM;
    assert_null(fixture.work);
    fixture.work = work;
    fixture.argument = argument;
    return 0;
}

void node_keep_reason(struct node *node, uint64_t path, const char *reason)
{
    (void)node, (void)path, (void)reason;
}

struct subject *node_rows(struct mount *mount, struct node *node)
{
    (void)mount, (void)node;
    return NULL;
}

void listing_check(struct mount *mount)
{
    (void)mount;
    fixture.checks++;
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    return fixture.no_memory ? NULL : __real_realloc(old, size);
}

/* Without the lock. */
static void run(void)
{
    void (*work)(void *) = fixture.work;
    assert_non_null(work);
    fixture.work = NULL;
    work(fixture.argument);
}

static int write_text(const char *text, bool *work)
{
    return ask_write(fixture.ask, text, strlen(text), work);
}

/* -EAGAIN, an errno, or how many bytes; what there is of them is in `out`. */
static int read_some(char out[200])
{
    struct buffer bytes = {0};
    pthread_mutex_lock(&fixture.mount.lock);
    int rc = ask_read(fixture.ask, 199, &bytes);
    pthread_mutex_unlock(&fixture.mount.lock);
    if (bytes.size > 0)
        memcpy(out, bytes.data, bytes.size);
    out[bytes.size] = '\0';
    rc = rc == 0 ? (int)bytes.size : rc;
    buffer_clear(&bytes);
    return rc;
}

/* It comes, and the questions that waited for it go on. */
static void catalog_comes(void)
{
    fixture.mount.catalog_answered = ++fixture.mount.catalog_asks;
    pthread_mutex_lock(&fixture.mount.lock);
    wait_call(&fixture.mount.waits, &fixture.mount.waiting);
    pthread_mutex_unlock(&fixture.mount.lock);
}

static void assert_answers(int count)
{
    static const char answer[] = "{\"error\":\"the table is not there any more\"}\n";
    char text[200];
    while (fixture.work != NULL) {
        run();
        catalog_comes();
    }
    assert_int_equal(read_some(text), count * (int)strlen(answer));
    for (int i = 0; i < count; i++)
        assert_memory_equal(text + (size_t)i * strlen(answer), answer, strlen(answer));
    assert_int_equal(read_some(text), 0);
}

static int set_up(void **state)
{
    (void)state;
    fixture = (struct fixture){.options.memory = 256 << 20};
    pthread_mutex_init(&fixture.mount.lock, NULL);
    fixture.mount.options = &fixture.options;
    fixture.mount.tree = &fixture.tree;
    written_init(&fixture.mount.written, 256 << 20);
    return ask_new(&fixture.mount, &fixture.node, &fixture.ask);
}

static int tear_down(void **state)
{
    (void)state;
    fixture.no_memory = false;
    pthread_mutex_lock(&fixture.mount.lock);
    ask_close(fixture.ask);
    pthread_mutex_unlock(&fixture.mount.lock);
    return fixture.tree.unread != 0 || fixture.tree.ask_count != 0;
}

static void test_answered(void **state)
{
    (void)state;
    bool work;
    assert_int_equal(write_text("{}\n{}\n", &work), 0);
    assert_true(work);
    assert_int_equal(ask_work_later(fixture.ask), 0);
    assert_answers(2);
    assert_true(fixture.checks > 0);
}

/* What cannot be kept for another thread is refused, and forgotten. */
static void test_not_kept(void **state)
{
    (void)state;
    char lent[] = "{}\n";
    bool work;
    assert_int_equal(write_text(lent, &work), 0);
    assert_true(work);
    fixture.no_memory = true;
    assert_int_equal(ask_work_later(fixture.ask), -ENOMEM);
    fixture.no_memory = false;
    assert_int_equal(write_text("{", &work), 0);
    assert_false(work);
    assert_int_equal(write_text("}\n", &work), 0);
    assert_true(work);
    ask_work(fixture.ask);
    catalog_comes();
    assert_answers(1);
}

/* What is kept, and for which there is no thread, goes on with the next read. */
static void test_no_thread(void **state)
{
    (void)state;
    char text[200];
    bool work;
    fixture.no_threads = true;
    assert_int_equal(write_text("{}\n", &work), 0);
    assert_int_equal(ask_work_later(fixture.ask), 0);
    assert_int_equal(read_some(text), -ENOMEM);
    fixture.no_threads = false;
    assert_int_equal(read_some(text), -EAGAIN);
    assert_answers(1);
}

/* A question that cannot be taken for now stays; one read is told. */
static void test_not_taken(void **state)
{
    (void)state;
    char text[200];
    bool work;
    assert_int_equal(write_text("{", &work), 0);
    assert_int_equal(write_text("}\n", &work), 0);
    assert_true(work);
    fixture.no_memory = true;
    ask_work(fixture.ask);
    fixture.no_memory = false;
    assert_int_equal(read_some(text), -ENOMEM);
    assert_int_equal(read_some(text), -EAGAIN);
    assert_answers(1);
}

/* Where an answer is missing in the middle, nothing more comes, and no half of one. */
static void test_not_answered(void **state)
{
    (void)state;
    char text[200];
    bool work;
    assert_int_equal(write_text("{}\n{}\n", &work), 0);
    ask_work(fixture.ask); /* the catalog is wanted */
    catalog_comes();
    fixture.no_memory = true;
    run();
    fixture.no_memory = false;
    assert_int_equal(read_some(text), -ENOMEM);
    assert_int_equal(read_some(text), -ENOMEM);
    assert_int_equal(write_text("{}\n", &work), -ENOMEM);
    assert_false(work);
    assert_null(fixture.work);
}

/* The catalog came, but there was no thread to go on. */
static void test_catalog_unheard(void **state)
{
    (void)state;
    bool work;
    assert_int_equal(write_text("{}\n", &work), 0);
    ask_work(fixture.ask);
    assert_int_equal(fixture.checks, 1);
    fixture.no_threads = true;
    catalog_comes();
    fixture.no_threads = false;
    assert_null(fixture.work);
    pthread_mutex_lock(&fixture.mount.lock);
    ask_tend(&fixture.mount);
    pthread_mutex_unlock(&fixture.mount.lock);
    assert_int_equal(fixture.checks, 1);
    assert_answers(1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_answered),  TEST(test_not_kept),     TEST(test_no_thread),
        TEST(test_not_taken), TEST(test_not_answered), TEST(test_catalog_unheard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
