#include "fs/base/log.h"

#include "codec/utf8.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LINES = 3000 };

/* The read end of a pipe that is stderr from now on, and full. */
static int fill_stderr(int *before, int flags)
{
    int ends[2];
    char page[4096] = {0};
    *before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], page, sizeof page) > 0)
        ;
    assert_int_equal(fcntl(ends[1], F_SETFL, flags), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    return ends[0];
}

/* Nobody waits for a reader who does not read; what is shown is complete up to the ring's size;
 * once he reads, he gets the rest, and is told how much is missing. */
static void nobody_waits(int flags)
{
    int before, end = fill_stderr(&before, flags);
    log_open(1, 0);
    for (int i = 0; i < LINES; i++)
        log_say(LOG_SAY_INFO, "line %d", i);
    struct buffer shown = {0};
    assert_int_equal(log_show(&shown), 0);
    assert_int_equal(buffer_append_byte(&shown, '\0'), 0);
    assert_non_null(strstr((char *)shown.data, "info: line 2999\n"));
    assert_non_null(strstr((char *)shown.data, "info: line 2500\n"));
    assert_null(strstr((char *)shown.data, "info: line 2499\n"));
    buffer_clear(&shown);
    struct buffer read_back = {0};
    char page[4096];
    ssize_t n;
    bool all = false;
    while (!all && (n = read(end, page, sizeof page)) > 0) {
        assert_int_equal(buffer_append(&read_back, page, (size_t)n), 0);
        all = memmem(read_back.data, read_back.size, "line 2999\n", 10) != NULL;
    }
    assert_non_null(memmem(read_back.data, read_back.size, "lines are missing here", 22));
    assert_non_null(memmem(read_back.data, read_back.size, "line 2500\n", 10));
    buffer_clear(&read_back);
    log_close();
    dup2(before, STDERR_FILENO);
    close(before);
    close(end);
}

static void test_nobody_waits(void **state)
{
    (void)state;
    nobody_waits(0);
}

/* The description may be a terminal's, which a shell, or another program, has set so. */
static void test_what_does_not_block(void **state)
{
    (void)state;
    nobody_waits(O_NONBLOCK);
}

/* Words that are too long, wherever the cut falls, and such as are no UTF-8. */
static void test_lines_are_utf8(void **state)
{
    (void)state;
    char words[3001];
    struct buffer shown = {0};
    int null = open("/dev/null", O_WRONLY), before = dup(STDERR_FILENO);
    dup2(null, STDERR_FILENO);
    for (size_t i = 0; i + 3 < sizeof words; i += 3)
        memcpy(words + i, "\u20ac", 4);
    for (int i = 0; i < 3; i++)
        log_say(LOG_SAY_INFO, "%.*s%s", i, "xx", words);
    log_say(LOG_SAY_INFO, "b\xf6se b\u00f6se");
    dup2(before, STDERR_FILENO);
    close(before);
    close(null);
    assert_int_equal(log_show(&shown), 0);
    assert_int_equal(buffer_append_byte(&shown, '\0'), 0);
    assert_true(utf8_is((char *)shown.data));
    assert_non_null(strstr((char *)shown.data, "info: xx\u20ac"));
    assert_non_null(strstr((char *)shown.data, "\u20ac\n"));
    assert_non_null(strstr((char *)shown.data, "info: b?se b\u00f6se\n"));
    buffer_clear(&shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines_are_utf8),
                                       cmocka_unit_test(test_nobody_waits),
                                       cmocka_unit_test(test_what_does_not_block)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
