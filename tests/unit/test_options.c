#include "fs/options.h"

#include "codec/format.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <fuse_opt.h>

/* A command line, in memory that may be written to, as argv is. */
struct line {
    char *argv[16];
    int argc;
    struct options options;
    struct fuse_args rest;
    struct error error;
    int rc;
};

static void parse(struct line *line, const char *const *words)
{
    *line = (struct line){0};
    line->argv[line->argc++] = strdup("pgvecfs");
    for (; *words != NULL; words++)
        line->argv[line->argc++] = strdup(*words);
    line->rc = options_parse(line->argc, line->argv, &line->options, &line->rest, &line->error);
}

static void drop(struct line *line)
{
    options_clear(&line->options);
    fuse_opt_free_args(&line->rest);
    for (int i = 0; i < line->argc; i++)
        free(line->argv[i]);
}

#define PARSE(line, ...) parse(line, (const char *const[]){__VA_ARGS__, NULL})

static bool passed_on(const struct line *line, const char *word)
{
    for (int i = 1; i < line->rest.argc; i++)
        if (strstr(line->rest.argv[i], word) != NULL)
            return true;
    return false;
}

static void test_defaults(void **state)
{
    (void)state;
    struct line line;
    setenv("XDG_CACHE_HOME", "/c", 1);
    PARSE(&line, "dbname=x", "/tmp");
    assert_int_equal(line.rc, 0);
    assert_string_equal(line.options.conninfo, "dbname=x");
    assert_string_equal(line.options.mountpoint, "/tmp");
    assert_string_equal(line.options.cache_dir, "/c/pgvecfs");
    assert_true(line.options.cache_size == UINT64_C(10) << 30 && line.options.memory == 256 << 20 &&
                line.options.part_size == 64 << 20 && line.options.max_stat == 0);
    assert_true(line.options.jobs >= 2 && line.options.jobs <= 8);
    assert_int_equal(line.options.lease_ms, 5000);
    assert_int_equal(line.options.connections, 8);
    assert_true(line.options.lock_wait_ms < 0 && line.options.direct == NULL);
    assert_false(line.options.rls_filter || line.options.trust_all);
    assert_int_equal(line.options.sql, SQL_OWNER);
    assert_int_equal(line.options.listed_formats, 7);
    assert_null(line.options.schemas);
    assert_false(line.options.system || line.options.foreground || line.options.debug);
    assert_false(line.options.single || line.options.help || line.options.version);
    drop(&line);

    setenv("XDG_CACHE_HOME", "relative", 1);
    setenv("HOME", "/h", 1);
    PARSE(&line, "", "/tmp");
    assert_int_equal(line.rc, 0);
    assert_string_equal(line.options.conninfo, "");
    assert_string_equal(line.options.cache_dir, "/h/.cache/pgvecfs");
    drop(&line);

    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    PARSE(&line, "", "/tmp");
    assert_string_equal(line.options.cache_dir, "/var/cache/pgvecfs");
    drop(&line);
    setenv("HOME", "/h", 1);
}

/* In each order that users and mount(8) have them. */
static void test_orders(void **state)
{
    (void)state;
    static const char *const orders[][6] = {{"-o", "lease=2", "db", "/tmp", NULL},
                                            {"db", "-o", "lease=2", "/tmp", NULL},
                                            {"db", "/tmp", "-o", "lease=2", NULL},
                                            {"db", "/tmp", "-olease=2", NULL}};
    for (size_t i = 0; i < 4; i++) {
        struct line line;
        parse(&line, orders[i]);
        assert_int_equal(line.rc, 0);
        assert_string_equal(line.options.conninfo, "db");
        assert_string_equal(line.options.mountpoint, "/tmp");
        assert_int_equal(line.options.lease_ms, 2000);
        drop(&line);
    }
}

static void test_flags(void **state)
{
    (void)state;
    struct line line;
    PARSE(&line, "-d", "-s", "-o", "system,rw", "db", "/tmp");
    assert_true(line.options.foreground && line.options.debug && line.options.single);
    assert_true(line.options.system);
    drop(&line);
    PARSE(&line, "-f", "db", "/tmp");
    assert_true(line.options.foreground && !line.options.debug);
    drop(&line);
    PARSE(&line, "--help");
    assert_int_equal(line.rc, 0);
    assert_true(line.options.help);
    drop(&line);
    PARSE(&line, "-V");
    assert_int_equal(line.rc, 0);
    assert_true(line.options.version);
    drop(&line);
}

static void test_status(void **state)
{
    (void)state;
    struct line line;
    PARSE(&line, "--status", "not/there"); /* it is asked, not looked at */
    assert_int_equal(line.rc, 0);
    assert_true(line.options.status);
    assert_string_equal(line.options.mountpoint, "not/there");
    assert_string_equal(line.argv[2], "not/there");
    assert_null(line.options.conninfo);
    drop(&line);
    PARSE(&line, "/tmp", "--status");
    assert_int_equal(line.rc, 0);
    assert_string_equal(line.options.mountpoint, "/tmp");
    drop(&line);
    PARSE(&line, "--status");
    assert_int_equal(line.rc, -EINVAL);
    drop(&line);
    PARSE(&line, "--status", "password=x", "/tmp");
    assert_int_equal(line.rc, -EINVAL);
    assert_null(strstr(line.argv[2], "password"));
    drop(&line);
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t size; /* UINT64_MAX: none */
    } cases[] = {{"0", 0},
                 {"1", 1},
                 {"1000", 1000},
                 {"3K", 3 << 10},
                 {"3k", 3 << 10},
                 {"2M", 2 << 20},
                 {"2g", UINT64_C(2) << 30},
                 {"5T", UINT64_C(5) << 40},
                 {"16777215T", UINT64_C(16777215) << 40},
                 {"16777216T", UINT64_MAX},
                 {"18446744073709551614", UINT64_MAX - 1},
                 {"18446744073709551616", UINT64_MAX},
                 {"", UINT64_MAX},
                 {"K", UINT64_MAX},
                 {"-1", UINT64_MAX},
                 {" -1", UINT64_MAX},
                 {" 1", UINT64_MAX},
                 {"+1", UINT64_MAX},
                 {"1 ", UINT64_MAX},
                 {"1 K", UINT64_MAX},
                 {"1KK", UINT64_MAX},
                 {"1KB", UINT64_MAX},
                 {"1P", UINT64_MAX},
                 {"1.5G", UINT64_MAX},
                 {"0x10", UINT64_MAX},
                 {"many", UINT64_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct line line;
        char option[64];
        snprintf(option, sizeof option, "-ocache_size=%s", cases[i].text);
        PARSE(&line, option, "db", "/tmp");
        assert_int_equal(line.rc, cases[i].size == UINT64_MAX ? -EINVAL : 0);
        if (line.rc == 0)
            assert_true(line.options.cache_size == cases[i].size);
        else
            assert_non_null(strstr(line.error.text, "cache_size"));
        drop(&line);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *option;
        int rc;
    } cases[] = {{"jobs=1", 0},
                 {"jobs=64", 0},
                 {"jobs=0", -EINVAL},
                 {"jobs=65", -EINVAL},
                 {"jobs=x", -EINVAL},
                 {"jobs=", -EINVAL},
                 {"jobs=nan", -EINVAL},
                 {"jobs=2x", -EINVAL},
                 {"jobs=2.5", -EINVAL},
                 {"lease=0", 0},
                 {"lease=0.5", 0},
                 {"lease=86400", 0},
                 {"lease=-1", -EINVAL},
                 {"lease=1e9", -EINVAL},
                 {"lease=inf", -EINVAL},
                 {"part_size=1", 0},
                 {"part_size=0", -EINVAL},
                 {"part_size=5000001", 0},
                 {"part_size=3.5M", -EINVAL},
                 {"max_stat=1", 0},
                 {"max_stat=0", -EINVAL},
                 {"max_stat=1T", 0},
                 {"max_stat=much", -EINVAL},
                 {"memory=1M", 0},
                 {"memory=1K", -EINVAL},
                 {"memory=0", -EINVAL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct line line;
        PARSE(&line, "-o", cases[i].option, "db", "/tmp");
        assert_int_equal(line.rc, cases[i].rc);
        assert_int_equal(line.error.text[0] != '\0', cases[i].rc < 0);
        drop(&line);
    }
}

static void test_lists(void **state)
{
    (void)state;
    struct line line;
    PARSE(&line, "-o",
          "formats=jsonl+csv,list=partitions:.pgvecfs+columns+parts+rows+.sql,schemas=a+b c:d",
          "db", "/tmp");
    assert_int_equal(line.rc, 0);
    assert_int_equal(line.options.listed_formats, 5);
    assert_true(line.options.list_partitions && line.options.list_control);
    assert_true(line.options.list_sql);
    assert_true(line.options.list_columns && line.options.list_parts && line.options.list_rows);
    assert_string_equal(line.options.schemas[0], "a");
    assert_string_equal(line.options.schemas[1], "b c");
    assert_string_equal(line.options.schemas[2], "d");
    assert_null(line.options.schemas[3]);
    drop(&line);
    PARSE(&line, "-o", "formats=tsv", "db", "/tmp");
    assert_int_equal(line.options.listed_formats, 1 << format_find("tsv", 3));
    drop(&line);
    PARSE(&line, "-o", "formats=xml", "db", "/tmp");
    static const char asked[] = "formats: 'xml' is not one of csv, bin, jsonl, tsv, ";
    assert_memory_equal(line.error.text, asked, sizeof asked - 1);
    for (int i = 0; i < FORMAT_COUNT; i++)
        assert_non_null(strstr(line.error.text, formats[i]->name));
    drop(&line);
    static const char *const bad[] = {"formats=xml", "formats=",     "formats=csv+",
                                      "formats=CSV", "list=nothing", "list="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        PARSE(&line, "-o", bad[i], "db", "/tmp");
        assert_int_equal(line.rc, -EINVAL);
        assert_true(line.error.text[0] != '\0');
        drop(&line);
    }
}

static void test_bad_words(void **state)
{
    (void)state;
    static const char *const lines[][5] = {{"-o", "no_such_option", "db", "/tmp", NULL},
                                           {"-x", "db", "/tmp", NULL},
                                           {"--no-such", "db", "/tmp", NULL},
                                           {"db", "/tmp", "more", NULL},
                                           {"db", NULL},
                                           {NULL}};
    for (size_t i = 0; i < 6; i++) {
        struct line line;
        parse(&line, lines[i]);
        assert_int_equal(line.rc, -EINVAL);
        assert_non_null(strstr(line.error.text, "pgvecfs"));
        drop(&line);
    }
    struct line line;
    PARSE(&line, "db", "/no/such/directory");
    assert_int_equal(line.rc, -ENOENT);
    assert_non_null(strstr(line.error.text, "/no/such/directory"));
    drop(&line);
}

/* What others understand goes to them; what fstab holds for others is dropped. */
static void test_options_of_others(void **state)
{
    (void)state;
    struct line line;
    PARSE(&line, "-o",
          "allow_other,nosuid,ro,max_threads=4,noauto,_netdev,nofail,x-systemd.automount,user,"
          "defaults",
          "db", "/tmp");
    assert_int_equal(line.rc, 0);
    assert_true(passed_on(&line, "allow_other") && passed_on(&line, "nosuid") &&
                passed_on(&line, "ro"));
    assert_true(passed_on(&line, "max_threads=4"));
    assert_false(passed_on(&line, "noauto") || passed_on(&line, "_netdev") ||
                 passed_on(&line, "x-systemd"));
    assert_false(passed_on(&line, "nofail") || passed_on(&line, "user") ||
                 passed_on(&line, "defaults"));
    drop(&line);
}

/* Wherever it stands, and whether or not the rest is right, the connection string is gone from
 * argv, and not passed on. */
static void test_connection_string_is_wiped(void **state)
{
    (void)state;
    static const char secret[] = "postgresql://u:hunter2@h/db";
    static const char *const lines[][6] = {{secret, "/tmp", NULL},
                                           {"-f", secret, "/tmp", NULL},
                                           {"-o", "lease=1", secret, "/tmp", NULL},
                                           {"-o", "lease=bad", secret, "/tmp", NULL},
                                           {secret, "/no/such", NULL},
                                           {secret, "/tmp", "-o", "no_such_option", NULL},
                                           {secret, NULL},
                                           {secret, secret, NULL}};
    for (size_t i = 0; i < 8; i++) {
        struct line line;
        parse(&line, lines[i]);
        for (int k = 0; k < line.argc; k++) {
            assert_null(strstr(line.argv[k], "hunter2"));
            assert_null(strstr(line.argv[k], "postgresql"));
        }
        assert_false(passed_on(&line, "hunter2"));
        if (line.rc == 0)
            assert_string_equal(line.options.conninfo, secret);
        drop(&line);
    }
}

static void test_paths_become_absolute(void **state)
{
    (void)state;
    struct line line;
    char here[4096], expected[4200];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/some/cache", here);
    PARSE(&line, "-o", "cache_dir=some/cache", "db", ".");
    assert_int_equal(line.rc, 0);
    assert_string_equal(line.options.cache_dir, expected);
    assert_string_equal(line.options.mountpoint, here);
    drop(&line);
}

static void test_owner(void **state)
{
    (void)state;
    struct line line;
    PARSE(&line, "db", "/tmp");
    assert_int_equal(line.rc, 0);
    assert_int_equal(line.options.uid, geteuid());
    assert_int_equal(line.options.gid, getegid());
    assert_int_equal(line.options.umask, 0);
    assert_false(line.options.allow_other);
    drop(&line);
    PARSE(&line, "-o", "uid=0,gid=4294967294,umask=0027,allow_other", "db", "/tmp");
    assert_int_equal(line.rc, 0);
    assert_int_equal(line.options.uid, 0);
    assert_true(line.options.gid == 4294967294U);
    assert_int_equal(line.options.umask, 027);
    assert_true(line.options.allow_other && passed_on(&line, "allow_other"));
    assert_false(passed_on(&line, "uid") || passed_on(&line, "umask"));
    drop(&line);
    static const char *const bad[] = {"uid=",     "uid=me",     "uid=4294967295", "gid=-1",
                                      "gid= 1",   "gid=1 ",     "umask=",         "umask=8",
                                      "umask=-1", "umask=1000", "umask=0000777",  "umask=7,uid=x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        PARSE(&line, "-o", bad[i], "db", "/tmp");
        assert_int_equal(line.rc, -EINVAL);
        assert_non_null(strstr(line.error.text, "is needed"));
        drop(&line);
    }
}

static void test_help_names_every_option(void **state)
{
    (void)state;
    static const char *const names[] = {
        "-f",         "-d",       "-s",    "-h",     "-V",       "cache_dir=", "cache_size=",
        "part_size=", "memory=",  "jobs=", "lease=", "formats=", "list=",      "schemas=",
        "system",     "--status", "uid=",  "gid=",   "umask=",   "max_stat=",  "sql="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_non_null(strstr(options_help, names[i]));
}

static void test_server_options(void **state)
{
    (void)state;
    struct line line;
    PARSE(&line, "-o", "connections=1,lock_wait=0.5,rls=filter,trust=all,sql=all,jobs=3", "-o",
          "direct=host=db\\,db2 password=hidden", "", "/tmp");
    assert_int_equal(line.rc, 0);
    assert_int_equal(line.options.connections, 1);
    assert_int_equal(line.options.lock_wait_ms, 500);
    assert_true(line.options.rls_filter && line.options.trust_all);
    assert_int_equal(line.options.sql, SQL_ALL);
    assert_string_equal(line.options.direct, "host=db,db2 password=hidden");
    for (int i = 0; i < line.argc; i++)
        assert_null(strstr(line.argv[i], "hidden"));
    drop(&line);

    static const char *const bad[] = {"connections=0", "connections=2.5", "connections=x",
                                      "lock_wait=-1",  "rls=on",          "trust=none",
                                      "sql=",          "sql=nobody"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        PARSE(&line, "-o", bad[i], "", "/tmp");
        assert_int_equal(line.rc, -EINVAL);
        assert_true(line.error.text[0] != '\0');
        drop(&line);
    }
    PARSE(&line, "-o", "sql=off", "", "/tmp");
    assert_int_equal(line.rc, 0);
    assert_int_equal(line.options.sql, SQL_OFF);
    drop(&line);
    PARSE(&line, "-o", "sql=owner", "", "/tmp");
    assert_int_equal(line.options.sql, SQL_OWNER);
    drop(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_server_options),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_bad_words),
        cmocka_unit_test(test_options_of_others),
        cmocka_unit_test(test_connection_string_is_wiped),
        cmocka_unit_test(test_paths_become_absolute),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_help_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
