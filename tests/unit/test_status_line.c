#include "fs/status_line.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void test_sizes(void **state)
{
    (void)state;
    const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {1, "1 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {1536, "1.5 KiB"},
                 {10 * 1024 - 1, "10 KiB"},
                 {10 * 1024, "10 KiB"},
                 {1024 * 1024 - 1, "1.0 MiB"},
                 {812ULL << 20, "812 MiB"},
                 {10ULL << 30, "10 GiB"},
                 {UINT64_MAX, "16 EiB"}};
    char text[STATUS_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(status_size(cases[i].bytes, text), cases[i].text);
}

static void test_counts(void **state)
{
    (void)state;
    const struct {
        uint64_t n;
        const char *text;
    } cases[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1,000"},
                 {123456, "123,456"},
                 {1234567, "1,234,567"},
                 {UINT64_MAX, "18,446,744,073,709,551,615"}};
    char text[STATUS_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(status_count(cases[i].n, text), cases[i].text);
}

static void test_times(void **state)
{
    (void)state;
    const struct {
        double seconds;
        const char *text;
    } cases[] = {{-1, "0 s"},
                 {0, "0 s"},
                 {0.6, "1 s"},
                 {59.4, "59 s"},
                 {59.6, "1 min 0 s"},
                 {200, "3 min 20 s"},
                 {3600, "1 h 0 min"},
                 {7500, "2 h 5 min"},
                 {86400, "1 d 0 h"},
                 {100000, "1 d 3 h"},
                 {1e300, "1000000 d 0 h"}};
    char text[STATUS_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(status_time(cases[i].seconds, text), cases[i].text);
}

static void assert_put(const char *text, size_t columns, bool pad, const char *wanted)
{
    struct text out = {0};
    status_put(&out, text, columns, pad);
    assert_string_equal(text_string(&out), wanted);
    text_clear(&out);
}

static void test_text(void **state)
{
    (void)state;
    assert_put("plain", 5, false, "plain");
    assert_put("plain", 8, true, "plain   ");
    assert_put("plain", 8, false, "plain");
    assert_put("plain", 4, false, "pla…");
    assert_put("plain", 1, false, "…");
    assert_put("plain", 0, true, "");
    assert_put("", 2, true, "  ");
    assert_put("größe", 5, false, "größe");
    assert_put("größer", 5, false, "größ…");
    assert_put("漢字", 4, false, "漢字"); /* two columns each */
    assert_put("漢字", 3, false, "漢…");
    assert_put("漢字", 2, true, "… ");
    assert_put("a\033[31mb", 20, false, "a?[31mb"); /* it must not reach the terminal */
    assert_put("a\nb\xC2\x9Bz", 20, false, "a?b?z");
    assert_put("bad\xFF\xE6\xBC", 20, false, "bad???");
    assert_int_equal(status_columns("漢字x", strlen("漢字x")), 5);
}

static char line[1000];

static const char *put(const struct status_job *job, size_t columns, unsigned frame)
{
    struct text out = {0};
    status_put_job(&out, job, columns, frame);
    assert_non_null(text_string(&out));
    assert_true(out.bytes.size < sizeof line);
    strcpy(line, text_string(&out));
    text_clear(&out);
    return line;
}

static const struct status_job copying = {.schema = "public",
                                          .name = "words",
                                          .what = "rows",
                                          .stage = "copying",
                                          .rows = 1234567,
                                          .bytes = 812ULL << 20,
                                          .percent = 42.7,
                                          .seconds = 9,
                                          .seconds_left = 12};

static void test_job_without_width(void **state)
{
    (void)state;
    struct status_job job = copying;
    assert_string_equal(put(&job, 0, 0),
                        "public.words  copying  42 %  1,234,567 rows  812 MiB  12 s left");
    job.percent = job.seconds_left = -1;
    assert_string_equal(put(&job, 0, 0),
                        "public.words  copying  1,234,567 rows  812 MiB  9 s so far");
    job.what = "schema.sql";
    job.name = "a\"b\\c\nd";
    assert_string_equal(put(&job, 0, 0), "public.a\"b\\c%0Ad (schema.sql)  copying  1,234,567 "
                                         "rows  812 MiB  9 s so far");
}

static void test_job_that_waits_for_a_lock(void **state)
{
    (void)state;
    struct status_job job = copying;
    job.lock.relation = "public.words";
    job.lock.application = "psql";
    job.lock.pid = 4711;
    assert_string_equal(
        put(&job, 0, 0),
        "public.words  waits for a lock on public.words of pid 4711 (psql)  9 s so far");
    job.lock.application = "";
    assert_string_equal(put(&job, 0, 0),
                        "public.words  waits for a lock on public.words of pid 4711  9 s so far");
    job.lock.pid = 0;
    job.lock.relation = "";
    assert_string_equal(put(&job, 0, 0), "public.words  waits for a lock  9 s so far");
    job.lock.application = "\033[2J";
    for (size_t columns = 1; columns < 100; columns++) {
        put(&job, columns, 0);
        assert_true(status_columns(line, strlen(line)) <= columns);
        assert_null(strpbrk(line, "\n\r\033"));
    }
}

static void test_job_on_a_terminal(void **state)
{
    (void)state;
    struct status_job job = copying;
    assert_string_equal(put(&job, 80, 0), "public.words      copying    [######---------]  42 %  "
                                          "812 MiB  12 s left");
    job.percent = 99.99;
    assert_non_null(strstr(put(&job, 80, 0), "  99 %"));
    job.percent = 100;
    assert_non_null(strstr(put(&job, 80, 0), "[###############] 100 %"));
    job.percent = 0;
    assert_non_null(strstr(put(&job, 80, 0), "[---------------]   0 %"));
    job.percent = -1;
    assert_non_null(strstr(put(&job, 80, 0), "[###            ]      "));
    assert_non_null(strstr(put(&job, 80, 1), "[ ###           ]      "));
    assert_non_null(strstr(put(&job, 80, 12), "[            ###]      "));
    assert_non_null(strstr(put(&job, 80, 13), "[           ### ]      "));
    assert_non_null(strstr(put(&job, 80, 24), "[###            ]      "));
    assert_non_null(strstr(put(&job, 120, 0), "1,234,567 rows"));
    assert_string_equal(put(&copying, 30, 0), "public.words              42 %");
}

static void test_job_fits(void **state)
{
    (void)state;
    struct status_job job = copying;
    const char *const names[] = {"t", "a_name_that_is_longer_than_most_names_of_tables_are",
                                 "漢字漢字漢字漢字漢字漢字漢字漢字", "a\"b\\c\nd\033[2J"};
    const double percents[] = {-1, 0, 50, 100, 1e9};
    for (size_t columns = 1; columns < 250; columns++)
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            for (size_t p = 0; p < sizeof percents / sizeof *percents; p++)
                for (int huge = 0; huge < 2; huge++) {
                    job.name = names[n];
                    job.percent = percents[p];
                    job.rows = job.bytes = huge ? UINT64_MAX : 0;
                    job.seconds_left = huge ? 1e300 : -1;
                    put(&job, columns, (unsigned)columns);
                    assert_true(status_columns(line, strlen(line)) <= columns);
                    assert_null(strpbrk(line, "\n\r\033"));
                }
}

int main(void)
{
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        fputs("no locale C.UTF-8\n", stderr);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_job_without_width),
        cmocka_unit_test(test_job_that_waits_for_a_lock),
        cmocka_unit_test(test_job_on_a_terminal),
        cmocka_unit_test(test_job_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
