#include "fs/base/mountinfo.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char table[] = "/tmp/pgvecfs-mountinfo.XXXXXX";

static int set_up(void **state)
{
    (void)state;
    static const char text[] =
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "22 21 0:50 / /mnt/one rw,nosuid shared:7 master:3 - fuse.pgvecfs host='x - y' rw\n"
        "23 21 0:51 / /mnt/two\\040words\\134\\012 rw - fuse.pgvecfs dbname='t' rw\n"
        "24 21 0:52 / /mnt/tmp rw - tmpfs tmpfs rw\n"
        "25 22 0:53 / /mnt/one rw - fuse other rw\n"
        "26 21 0:54 /below /mnt/part rw - fuse.pgvecfs x rw\n"
        "27 21 0:5555555555555555555555555555 / /mnt/long rw - fuse.pgvecfs x rw\n"
        "28 21 0:55 / /mnt/blk rw - fuseblk /dev/sdb rw\n"
        "29 - fuse.pgvecfs\n"
        "\n"
        " - fuse.pgvecfs x\n"
        "30 21 0:56 / /mnt/last rw - fuse.pgvecfs x rw";
    int fd = mkstemp(table);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(table);
    return 0;
}

static void test_device(void **state)
{
    (void)state;
    char device[MOUNT_DEVICE] = "";
    assert_int_equal(mountinfo_device(table, "/mnt/one", device), 0);
    assert_string_equal(device, "0:53"); /* the upper one */
    assert_int_equal(mountinfo_device(table, "/mnt/two words\\\n", device), 0);
    assert_string_equal(device, "0:51");
    assert_int_equal(mountinfo_device(table, "/mnt/last", device), 0);
    assert_string_equal(device, "0:56");
    static const char *const none[] = {"/",         "/mnt/tmp", "/mnt/part", "/mnt/long",
                                       "/mnt/blk",  "/mnt",     "",          "/mnt/two\\040words",
                                       "/mnt/one/", "/mnt/on"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(mountinfo_device(table, none[i], device), -ENOENT);
    assert_string_equal(device, "0:56");
}

static void test_find(void **state)
{
    (void)state;
    assert_int_equal(mountinfo_find(table, "/mnt/one", "0:53"), 0);
    assert_int_equal(mountinfo_find(table, "/mnt/one", "0:50"), 0); /* covered, but mounted */
    assert_int_equal(mountinfo_find(table, "/mnt/one", "0:5"), -ENOENT);
    assert_int_equal(mountinfo_find(table, "/mnt/one", ""), -ENOENT);
    assert_int_equal(mountinfo_find(table, "/mnt/last", "0:50"), -ENOENT);
    assert_int_equal(mountinfo_find(table, "/mnt/tmp", "0:52"), -ENOENT);
}

static void test_tables(void **state)
{
    (void)state;
    char device[MOUNT_DEVICE];
    assert_int_equal(mountinfo_find("/nonexistent", "/", "0:1"), -ENOENT);
    assert_int_equal(mountinfo_find("/tmp", "/", "0:1"), -EISDIR);
    assert_int_equal(mountinfo_device(NULL, "/proc/self/nonexistent", device), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
