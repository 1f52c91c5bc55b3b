/* What is shown of a server: what libpq itself would take, in its order: the string, the service,
 * the environment. */
#include "pgclient/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char services[] = "/tmp/pgvecfs-services.XXXXXX";

static int set_up(void **state)
{
    (void)state;
    static const char text[] = "[prod]\nhost=db.example\nport=7\ndbname=d\nuser=u\n"
                               "[bare]\ndbname=d\nuser=u\nport=7\nsslmode=require\n"
                               "[addr]\nhostaddr=192.0.2.1\ndbname=d\nuser=u\nport=7\n"
                               "[many]\nhost=a,b\nport=7,8\ndbname=d\nuser=u\n";
    static const char *const names[] = {"PGHOST", "PGHOSTADDR", "PGPORT",   "PGDATABASE",
                                        "PGUSER", "PGSERVICE",  "PGSSLMODE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    int fd = mkstemp(services);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    setenv("PGSERVICEFILE", services, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(services);
    return 0;
}

static void assert_shown(const char *conninfo, const char *name)
{
    struct server *server = NULL;
    assert_int_equal(server_parse(conninfo, &server, NULL), 0);
    assert_string_equal(server_name(server), name);
    server_free(server);
}

static void test_service(void **state)
{
    (void)state;
    assert_shown("service=prod", "service='prod' host='db.example' port='7' dbname='d' user='u'");
    assert_shown("service=bare", "service='bare' port='7' dbname='d' user='u'");
    assert_shown("service=many", "service='many' host='a,b' port='7,8' dbname='d' user='u'");
    assert_shown("service=addr",
                 "service='addr' hostaddr='192.0.2.1' port='7' dbname='d' user='u'");
    assert_shown("service=prod host=other sslmode=disable",
                 "service='prod' host='other' port='7' dbname='d' user='u'");
    setenv("PGSERVICE", "prod", 1);
    assert_shown("", "host='db.example' port='7' dbname='d' user='u'");
    assert_shown("service=bare", "service='bare' port='7' dbname='d' user='u'");
    unsetenv("PGSERVICE");
}

static void test_environment(void **state)
{
    (void)state;
    setenv("PGHOST", "/nonexistent", 1);
    assert_shown("service=prod", "service='prod' host='db.example' port='7' dbname='d' user='u'");
    assert_shown("service=bare", "service='bare' host='/nonexistent' port='7' dbname='d' user='u'");
    assert_shown("port=7 dbname=d user=u", "host='/nonexistent' port='7' dbname='d' user='u'");
    assert_shown("host=h port=7 dbname=d user=u", "host='h' port='7' dbname='d' user='u'");
    unsetenv("PGHOST");
    setenv("PGHOSTADDR", "192.0.2.2", 1);
    assert_shown("service=addr",
                 "service='addr' hostaddr='192.0.2.1' port='7' dbname='d' user='u'");
    assert_shown("port=7 dbname=d user=u", "hostaddr='192.0.2.2' port='7' dbname='d' user='u'");
    unsetenv("PGHOSTADDR");
}

/* libpq refuses these when it connects; until then they are shown as they stand. */
static void test_what_libpq_refuses(void **state)
{
    (void)state;
    assert_shown("host=a,b hostaddr=192.0.2.1 port=7 dbname=d user=u",
                 "host='a,b' hostaddr='192.0.2.1' port='7' dbname='d' user='u'");
    assert_shown("host=h port=7 dbname=d user=u sslmode=nonsense",
                 "host='h' port='7' dbname='d' user='u'");
    assert_shown("service=none host=h port=7 dbname=d user=u",
                 "service='none' host='h' port='7' dbname='d' user='u'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_what_libpq_refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
