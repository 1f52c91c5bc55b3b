#include "fs/base/name_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct name_list begin(void)
{
    struct name_list list;
    assert_int_equal(name_list_begin("/tmp", &list), 0);
    return list;
}

static void add(struct name_list *list, const char *name)
{
    assert_int_equal(name_list_add(list, (const uint8_t *)name, strlen(name)), 0);
}

static void test_names_come_in_order(void **state)
{
    enum { NAMES = 100000 };
    (void)state;
    struct name_list list = begin();
    struct name_file *file;
    char name[32];
    uint64_t size = 0, place = 0;
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%d", i * 7);
        add(&list, name);
        size += strlen(name) + 1;
        assert_true(list.lines.size <= (64 << 10) + sizeof name); /* the rest is on disk */
    }
    assert_int_equal(list.size, size);
    assert_int_equal(name_list_end(&list, &file), 0);
    for (int i = 0; i < NAMES; i++) {
        const char *found;
        size_t n;
        uint64_t next;
        snprintf(name, sizeof name, "%d", i * 7);
        assert_true(name_file_at(file, place, &found, &n, &next));
        assert_int_equal(n, strlen(name));
        assert_memory_equal(found, name, n);
        place = next;
    }
    assert_int_equal(place, size);
    name_file_unref(file);
}

/* A kernel may give any number back. */
static void test_places_that_are_none(void **state)
{
    (void)state;
    struct name_list list = begin();
    struct name_file *file;
    const char *name;
    size_t n;
    uint64_t next;
    add(&list, "ab");
    add(&list, "c");
    add(&list, "");
    assert_int_equal(name_list_end(&list, &file), 0);
    for (uint64_t place = 0; place < 20; place++)
        assert_int_equal(name_file_at(file, place, &name, &n, &next),
                         place == 0 || place == 3 || place == 5);
    assert_false(name_file_at(file, UINT64_MAX, &name, &n, &next));
    struct name_file *other = name_file_ref(file);
    name_file_unref(file);
    assert_true(name_file_at(other, 3, &name, &n, &next));
    assert_int_equal(n, 1);
    name_file_unref(other);
    name_file_unref(NULL);
}

static void test_no_names(void **state)
{
    (void)state;
    struct name_list list = begin();
    struct name_file *file;
    const char *name;
    size_t n;
    uint64_t next;
    assert_int_equal(name_list_end(&list, &file), 0);
    assert_false(name_file_at(file, 0, &name, &n, &next));
    name_file_unref(file);
    list = begin();
    add(&list, "x");
    name_list_give_up(&list);
}

static void test_errors_of_the_disk(void **state)
{
    (void)state;
    struct name_list list;
    struct name_file *file;
    assert_int_equal(name_list_begin("/nowhere", &list), -ENOENT);
    list = begin();
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    int fd = list.fd;
    list.fd = dup(fileno(full));
    fclose(full);
    close(fd);
    add(&list, "x");
    assert_int_equal(name_list_end(&list, &file), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_come_in_order),
        cmocka_unit_test(test_places_that_are_none),
        cmocka_unit_test(test_no_names),
        cmocka_unit_test(test_errors_of_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
