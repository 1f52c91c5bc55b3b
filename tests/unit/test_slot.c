#include "fs/rows/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], prefix[80];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/pgvecfs-slot.XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(prefix, sizeof prefix, "%s/name-", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Takes a slot, which must be that one. */
static void take(const char *mountpoint, int number, struct slot *slot)
{
    assert_int_equal(slot_take(prefix, mountpoint, slot, NULL), 0);
    assert_int_equal(slot->number, number);
    assert_int_equal(slot->why[0] == '\0', number == 0);
}

static const char *lock_path(int number)
{
    static char path[120];
    snprintf(path, sizeof path, "%s%d/lock", prefix, number);
    return path;
}

static void write_text(int number, const char *text, size_t size)
{
    FILE *file = fopen(lock_path(number), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void read_text(int number, char *out, size_t size)
{
    FILE *file = fopen(lock_path(number), "rb");
    assert_non_null(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* Lets go of the slot some time later, in a thread. */
struct later {
    pthread_t thread;
    struct slot *slot;
    unsigned ms;
};

static void *release_later(void *argument)
{
    struct later *later = argument;
    usleep(later->ms * 1000);
    slot_release(later->slot);
    return NULL;
}

static void begin(struct later *later, struct slot *slot, unsigned ms)
{
    *later = (struct later){.slot = slot, .ms = ms};
    assert_int_equal(pthread_create(&later->thread, NULL, release_later, later), 0);
}

static void test_says_who_has_it(void **state)
{
    (void)state;
    struct slot slot;
    char text[1000], pid[40];
    snprintf(pid, sizeof pid, "\npid %d\n", (int)getpid());
    take("/mnt/a\nb", 0, &slot);
    read_text(0, text, sizeof text);
    assert_memory_equal(text, "starting\n", 9);
    assert_non_null(strstr(text, pid));
    assert_string_equal(strstr(text, "\nmountpoint "), "\nmountpoint /mnt/a\nb");
    slot_mounted(&slot, "/mnt/a\nb"); /* it is not */
    read_text(0, text, sizeof text);
    assert_memory_equal(text, "starting\n", 9);
    slot_ending(&slot);
    read_text(0, text, sizeof text);
    assert_memory_equal(text, "ending  \n", 9);
    slot_release(&slot);
    slot_release(&slot);
}

/* Longer than for a holder of whom nothing is known. */
static void test_waits_for_one_that_ends(void **state)
{
    (void)state;
    struct slot first, next;
    struct later later;
    take("/mnt/a", 0, &first);
    slot_ending(&first);
    begin(&later, &first, 2500);
    take("/mnt/a", 0, &next);
    pthread_join(later.thread, NULL);
    slot_ending(&next);
    begin(&later, &next, 200);
    take("/mnt/b", 0, &first); /* at another place, too */
    pthread_join(later.thread, NULL);
    slot_release(&first);
}

static void test_waits_for_one_whose_mount_is_gone(void **state)
{
    (void)state;
    struct slot first, next;
    struct later later;
    char text[1000];
    take("/mnt/a", 0, &first);
    read_text(0, text, sizeof text);
    memcpy(text, "mounted ", 8);
    char *device = strstr(text, "\ndevice \n");
    assert_non_null(device);
    char rest[600];
    snprintf(rest, sizeof rest, "%s", device + 8);
    snprintf(device + 8, sizeof text - (size_t)(device + 8 - text), "0:4000000000%s", rest);
    write_text(0, text, strlen(text));
    begin(&later, &first, 2500);
    take("/mnt/a", 0, &next);
    pthread_join(later.thread, NULL);
    slot_release(&next);
}

/* Of whom nothing can be known, or nothing is said: not for ever. */
static void test_goes_on_where_nothing_is_known(void **state)
{
    (void)state;
    static const char other_namespace[] =
        "mounted \npid 1\nnamespace x mnt:[1]\ndevice 0:1\nmountpoint /mnt/a";
    struct slot first, next;
    take("/mnt/a", 0, &first);
    take("/mnt/a", 1, &next); /* it is starting */
    assert_non_null(strstr(next.why, "/mnt/a"));
    slot_release(&next);
    write_text(0, "", 0);
    take("/mnt/b", 1, &next);
    slot_release(&next);
    write_text(0, other_namespace, sizeof other_namespace - 1);
    take("/mnt/c", 1, &next);
    assert_non_null(strstr(next.why, "pid 1,"));
    slot_release(&next);
    slot_release(&first);
}

static void test_texts_of_anybody(void **state)
{
    (void)state;
    enum { LARGE = 100000 };
    struct slot first, next;
    char *large = malloc(LARGE);
    assert_non_null(large);
    take("/mnt/a", 0, &first);
    memset(large, 'x', LARGE);
    write_text(0, large, LARGE);
    take("/mnt/b", 1, &next);
    slot_release(&next);
    memcpy(large, "mounted \npid 99999999999999999999\nmountpoint ", 45);
    write_text(0, large, LARGE);
    take("/mnt/b", 1, &next);
    slot_release(&next);
    static const char controls[] =
        "mounted \0\npid x\n\n\nnamespace\ndevice\nmountpoint /mnt/\033[31m\n\x7f";
    write_text(0, controls, sizeof controls - 1);
    take("/mnt/b", 1, &next);
    static const char lines[] = "mounted \npid 5\nmountpoint /mnt/\033[31m\n\x7f";
    slot_release(&next);
    write_text(0, lines, sizeof lines - 1);
    unlink(lock_path(1));
    take("/mnt/b", 1, &next);
    assert_string_equal(next.why, "slot 0 is in use by pid 5, on /mnt/?[31m??");
    slot_release(&next);
    slot_release(&first);
    free(large);
}

static void test_prefers_the_one_it_had(void **state)
{
    (void)state;
    struct slot slots[3], again;
    take(NULL, 0, &slots[0]);
    take(NULL, 1, &slots[1]);
    take("/mnt/c", 2, &slots[2]);
    for (int i = 0; i < 3; i++)
        slot_release(&slots[i]);
    take("/mnt/c", 2, &again);
    assert_string_equal(again.why, "this mount point had it before");
    take("/mnt/d", 0, &slots[0]);
    slot_release(&again);
    slot_release(&slots[0]);
    take("/mnt/c", 2, &slots[2]);
    take("/mnt/d", 0, &slots[0]);
    /* One that it had, but that is in use, is none. */
    slot_ending(&slots[2]);
    slot_release(&slots[0]);
    struct later later;
    begin(&later, &slots[2], 200);
    take("/mnt/c", 2, &again);
    pthread_join(later.thread, NULL);
    slot_release(&again);
}

/* Without a mount point nobody waits. */
static void test_without_waiting(void **state)
{
    (void)state;
    struct slot slots[64], more;
    struct error error = {""};
    for (int i = 0; i < 64; i++) {
        take(NULL, i, &slots[i]);
        slot_ending(&slots[i]);
    }
    assert_int_equal(slot_take(prefix, NULL, &more, &error), -EWOULDBLOCK);
    assert_true(error.text[0] != '\0');
    for (int i = 0; i < 64; i++)
        slot_release(&slots[i]);
}

/* Neither is followed nor waited for. */
static void test_lock_that_is_no_file(void **state)
{
    (void)state;
    struct slot slot;
    take("/mnt/a", 0, &slot);
    slot_release(&slot);
    unlink(lock_path(0));
    assert_int_equal(symlink("/dev/null", lock_path(0)), 0);
    assert_int_equal(slot_take(prefix, "/mnt/a", &slot, NULL), -ELOOP);
    unlink(lock_path(0));
    assert_int_equal(mkfifo(lock_path(0), 0600), 0);
    take("/mnt/a", 0, &slot);
    slot_mounted(&slot, "/mnt/a");
    slot_ending(&slot);
    slot_release(&slot);
}

static void test_folders_of_others(void **state)
{
    (void)state;
    struct slot slot;
    struct error error = {""};
    char path[100];
    snprintf(path, sizeof path, "%s0", prefix);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_equal(slot_take(prefix, "/mnt/a", &slot, &error), -ENOTDIR);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(folder, 65534, 65534), 0); /* nobody's, which is fine */
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(slot_take(prefix, "/mnt/a", &slot, &error), -EPERM);
    assert_int_equal(chown(path, 0, 0), 0);
    take("/mnt/a", 0, &slot);
    slot_release(&slot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_says_who_has_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waits_for_one_that_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waits_for_one_whose_mount_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_goes_on_where_nothing_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_texts_of_anybody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prefers_the_one_it_had, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock_that_is_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folders_of_others, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
