/* The server that the tests of pgclient/ run against: that of PGVECFS_TEST_SERVER (a directory of
 * scripts/private-pg), else one of their own in build/unit/pg, stopped when the program ends,
 * however it ends.
 *
 * Each test makes its own database. Run from the root of the checkout.
 */
#ifndef TEST_PGCLIENT_H
#define TEST_PGCLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "pgclient/connection.h"
#include "pgclient/readpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char test_directory[4096];
static bool test_started;

static inline void test_script(const char *verb)
{
    char command[8192];
    snprintf(command, sizeof command, "scripts/private-pg %s '%s' >/dev/null", verb,
             test_directory);
    if (system(command) != 0) {
        fprintf(stderr, "failed: %s\n", command);
        exit(1); /* not abort(): the server has to be stopped */
    }
}

static inline void test_stop_server(void)
{
    if (test_started)
        test_script("stop --throwaway");
    test_started = false;
}

/* `export NAME='value'`, the quotes being optional. */
static inline void test_take_export(char *line)
{
    static const char word[] = "export ";
    char *name = line + strlen(word), *value = strchr(line, '=');
    if (strncmp(line, word, strlen(word)) != 0 || value == NULL)
        return;
    *value++ = '\0';
    value[strcspn(value, "\n")] = '\0';
    size_t n = strlen(value);
    if (n >= 2 && (value[0] == '\'' || value[0] == '"')) {
        value[n - 1] = '\0';
        value++;
    }
    setenv(name, value, 1);
}

static inline void test_find_server(void)
{
    const char *given = getenv("PGVECFS_TEST_SERVER");
    if (given != NULL) {
        snprintf(test_directory, sizeof test_directory, "%s", given);
    } else {
        char here[2048];
        if (getcwd(here, sizeof here) == NULL)
            exit(1); /* not abort(): the server has to be stopped */
        snprintf(test_directory, sizeof test_directory, "%s/build/unit/pg.%ld", here,
                 (long)getpid());
        test_started = true;
        atexit(test_stop_server);
        test_script("start --throwaway");
    }
    char command[8192], line[4096];
    snprintf(command, sizeof command, "scripts/private-pg env '%s'", test_directory);
    FILE *lines = popen(command, "r");
    while (lines != NULL && fgets(line, sizeof line, lines) != NULL)
        test_take_export(line);
    if (lines == NULL || pclose(lines) != 0)
        exit(1); /* not abort(): the server has to be stopped */
}

static inline struct server *test_server(const char *conninfo)
{
    struct server *server = NULL;
    struct error error = {""};
    if (server_parse(conninfo, &server, &error) != 0)
        fail_msg("%s", error.text);
    return server;
}

/* Runs statements as the superuser in `database`, each separately if there is just one. */
static inline void test_sql(const char *database, const char *sql)
{
    char conninfo[256];
    snprintf(conninfo, sizeof conninfo,
             "dbname='%s' client_encoding=UTF8 options='-c client_min_messages=error'", database);
    PGconn *pg = PQconnectdb(conninfo);
    PGresult *result = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(result);
    char words[1024];
    snprintf(words, sizeof words, "%s: %.200s", PQerrorMessage(pg), sql);
    PQclear(result);
    PQfinish(pg);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s", words);
}

/* The first value of a query. The caller frees it. */
static inline char *test_value(const char *database, const char *sql)
{
    char conninfo[256];
    snprintf(conninfo, sizeof conninfo,
             "dbname='%s' client_encoding=UTF8 options='-c client_min_messages=error'", database);
    PGconn *pg = PQconnectdb(conninfo);
    PGresult *result = PQexec(pg, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) < 1)
        fail_msg("%s: %s", PQerrorMessage(pg), sql);
    char *value = strdup(PQgetvalue(result, 0, 0));
    PQclear(result);
    PQfinish(pg);
    return value;
}

static inline void test_new_database(const char *name, const char *options)
{
    char sql[512];
    snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name);
    test_sql("postgres", sql);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE template0 %s", name, options);
    test_sql("postgres", sql);
}

/* A pool for one database and role. */
struct test_pool {
    struct server *server;
    struct session_pool *pool;
};

static inline struct test_pool test_pool(const char *database, const char *more, int limit)
{
    char conninfo[512];
    snprintf(conninfo, sizeof conninfo, "dbname='%s' %s", database, more);
    struct test_pool out = {.server = test_server(conninfo)};
    assert_int_equal(session_pool_new(out.server, limit, &out.pool), 0);
    return out;
}

static inline void test_pool_free(struct test_pool *pool)
{
    session_pool_free(pool->pool);
    server_free(pool->server);
}

static inline struct session *test_take(struct test_pool *pool)
{
    struct session *session = NULL;
    struct error error = {""};
    if (session_take_now(pool->pool, SESSION_SHORT, NULL, &session, &error) != 0)
        fail_msg("%s", error.text);
    return session;
}

/* The catalog's entry of schema.name; NULL: not in it. */
static inline const struct relation *test_find(const struct catalog *catalog, const char *schema,
                                               const char *name)
{
    for (size_t i = 0; i < catalog->relation_count; i++)
        if (strcmp(catalog->relations[i].schema, schema) == 0 &&
            strcmp(catalog->relations[i].name, name) == 0)
            return &catalog->relations[i];
    return NULL;
}

static inline struct catalog *test_catalog(struct session *session)
{
    struct catalog *catalog = NULL;
    struct error error = {""};
    struct catalog_scope scope = {0};
    if (catalog_read(session, &scope, &catalog, &error) != 0)
        fail_msg("%s", error.text);
    return catalog;
}

#endif
