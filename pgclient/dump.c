#include "pgclient/dump.h"

#include "codec/utf8.h"
#include "pgclient/conninfo.h"
#include "pgclient/sql_text.h"
#include "pgclient/words.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PATH_SIZE = sizeof((struct dump *)NULL)->program, WORDS_SIZE = 600 };

/* ---- lists of strings: arguments and environments ---- */

struct list {
    char **items; /* NULL-terminated; owned */
    size_t count;
};

static int list_add(struct list *list, char *item) /* takes `item`; NULL: -ENOMEM */
{
    char **items = item == NULL ? NULL : reallocarray(list->items, list->count + 2, sizeof *items);
    if (items == NULL) {
        free(item);
        return -ENOMEM;
    }
    items[list->count++] = item;
    items[list->count] = NULL;
    list->items = items;
    return 0;
}

static void list_clear(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        explicit_bzero(list->items[i], strlen(list->items[i])); /* a password may be in it */
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct list){0};
}

/* ---- which pg_dump ---- */

/* The newest of PREFIX<major>/bin/pg_dump that is not older than the server. */
static void look_in(const char *parent, const char *prefix, int *best, char *path)
{
    DIR *folder = opendir(parent);
    if (folder == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        size_t n = strlen(prefix);
        if (strncmp(entry->d_name, prefix, n) != 0)
            continue;
        int major = atoi(entry->d_name + n);
        char candidate[PATH_SIZE];
        int size =
            snprintf(candidate, sizeof candidate, "%s/%s/bin/pg_dump", parent, entry->d_name);
        if (major >= *best && size < PATH_SIZE && access(candidate, X_OK) == 0) {
            *best = major;
            memcpy(path, candidate, (size_t)size + 1);
        }
    }
    closedir(folder);
}

/* Distributions keep each version in a folder of its own; elsewhere it is the one in PATH, which
 * complains itself if it is too old. */
static void find_program(int server_major, char *path)
{
    int best = server_major;
    strcpy(path, "pg_dump");
    look_in("/usr/lib/postgresql", "", &best, path);
    look_in("/usr", "pgsql-", &best, path);
}

/* ---- what pg_dump is told ---- */

static bool sets(const char *entry, const char *variable)
{
    size_t n = strlen(variable);
    return strncmp(entry, variable, n) == 0 && entry[n] == '=';
}

static const PQconninfoOption *option_of(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o;
    return NULL;
}

static int set_variable(struct list *environment, const char *variable, const char *value)
{
    struct text text = {0};
    text_printf(&text, "%s=%s", variable, value);
    char *entry = text_take(&text);
    for (size_t i = 0; entry != NULL && i < environment->count; i++)
        if (sets(environment->items[i], variable)) {
            free(environment->items[i]);
            environment->items[i] = entry;
            return 0;
        }
    return list_add(environment, entry);
}

static void put_keyword(struct text *conninfo, const char *keyword, const char *value)
{
    text_printf(conninfo, "%s%s='", conninfo->bytes.size > 0 ? " " : "", keyword);
    for (const char *c = value; *c != '\0'; c++) {
        text_put(conninfo, *c == '\'' || *c == '\\' ? "\\" : "");
        text_put_byte(conninfo, *c);
    }
    text_put_byte(conninfo, '\'');
}

/* Each connection parameter goes where libpq looks for it: its environment variable; the few that
 * have no variable, and are no secret, go into `conninfo`, an argument. (A secret without a
 * variable, such as sslpassword, cannot be handed on.) */
static int tell_server(const struct server *server, struct list *environment, struct text *conninfo)
{
    const char *const *keywords = server_keywords(server), *const *values = server_values(server);
    PQconninfoOption *options = PQconndefaults();
    int rc = options == NULL ? -ENOMEM : 0;
    for (size_t i = 0; keywords[i] != NULL && rc == 0; i++) {
        const PQconninfoOption *option = option_of(options, keywords[i]);
        if (option == NULL || strcmp(keywords[i], "client_encoding") == 0 ||
            strstr(keywords[i], "application_name") != NULL)
            continue;
        if (option->envvar != NULL)
            rc = set_variable(environment, option->envvar, values[i]);
        else if (option->dispchar[0] != '*')
            put_keyword(conninfo, keywords[i], values[i]);
    }
    conninfo_free(options);
    return rc;
}

static const char *const address_keywords[DUMP_ADDRESS] = {"host", "hostaddr", "port"};

int dump_server(const struct dump *dump, const struct server *server, const char *application,
                struct server **out)
{
    const char *keywords[DUMP_ADDRESS + 2] = {[DUMP_ADDRESS] = "application_name"};
    const char *values[DUMP_ADDRESS + 1] = {[DUMP_ADDRESS] = application};
    for (size_t i = 0; i < DUMP_ADDRESS; i++) {
        keywords[i] = address_keywords[i];
        values[i] = dump->address[i];
    }
    return server_copy_with(server, keywords, values, out);
}

/* Copies our own environment, but sets the language of messages to English. */
static int copy_environment(struct list *environment)
{
    int rc = 0;
    for (char **entry = environ; *entry != NULL && rc == 0; entry++)
        rc = list_add(environment, strdup(*entry));
    return rc == 0 ? set_variable(environment, "LC_ALL", "C") : rc;
}

/* A service file would override the environment, so what must hold goes into `conninfo`. */
static int make_environment(const struct dump *dump, const struct server *server,
                            const char *application, struct list *environment,
                            struct text *conninfo)
{
    int rc = copy_environment(environment);
    if (rc == 0)
        rc = tell_server(server, environment, conninfo);
    put_keyword(conninfo, "application_name", application);
    for (size_t i = 0; i < DUMP_ADDRESS; i++)
        if (dump->address[i][0] != '\0')
            put_keyword(conninfo, address_keywords[i], dump->address[i]);
    return rc;
}

static int pin_settings(const struct dump *dump, struct list *environment)
{
    static const char variable[] = "PGOPTIONS";
    struct text value = {0};
    if (dump->settings.size <= 1)
        return 0;
    for (size_t i = 0; i < environment->count; i++)
        if (sets(environment->items[i], variable))
            text_put(&value, environment->items[i] + sizeof variable);
    text_put(&value, (const char *)dump->settings.data);
    const char *string = text_string(&value);
    int rc = string != NULL ? set_variable(environment, variable, string) : -ENOMEM;
    text_clear(&value);
    return rc;
}

static int add_formatted(struct list *arguments, const char *before, const char *after)
{
    struct text argument = {0};
    text_printf(&argument, "%s%s", before, after);
    return list_add(arguments, text_take(&argument));
}

static int make_arguments(const struct dump *dump, const char *conninfo, struct list *arguments)
{
    char lock_ms[16];
    const char *const fixed[] = {"pg_dump", "--schema-only", "--no-password",
                                 dump->ascii ? "--encoding=SQL_ASCII" : "--encoding=UTF8"};
    int rc = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed && rc == 0; i++)
        rc = list_add(arguments, strdup(fixed[i]));
    snprintf(lock_ms, sizeof lock_ms, "%d", DUMP_LOCK_MS);
    if (rc == 0)
        rc = add_formatted(arguments, "--lock-wait-timeout=", lock_ms);
    if (rc == 0 && dump->snapshot != NULL)
        rc = add_formatted(arguments, "--snapshot=", dump->snapshot);
    for (char *const *argument = dump->selection; argument != NULL && *argument != NULL && rc == 0;
         argument++)
        rc = list_add(arguments, strdup(*argument));
    return rc == 0 ? add_formatted(arguments, "--dbname=", conninfo) : rc;
}

/* ---- what must be asked of the server before ---- */

/* Settings to be pinned: time limits hold for pg_dump's first statements, too, and an orphaned
 * backend of it must end. */
#define SETTINGS                                                                                   \
    "(SELECT string_agg(format(' -c %s=%s', s.name, CASE s.reset_val WHEN 'on' THEN 'off' WHEN "   \
    "'off' THEN 'on' WHEN '0' THEN '10s' ELSE '0' END), '') FROM pg_catalog.pg_settings s"         \
    "  WHERE s.name = 'quote_all_identifiers' AND s.reset_val = 'on'"                              \
    "  OR s.name = 'standard_conforming_strings' AND s.reset_val = 'off'"                          \
    "  OR s.name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout',"                  \
    "   'idle_in_transaction_session_timeout') AND s.reset_val <> '0'"                             \
    "  OR s.name = 'client_connection_check_interval' AND s.reset_val = '0' AND version() ~ "      \
    "'linux')"

/* The settings, the relation's present name and kind, and the extensions that its columns' types
 * (also as elements of arrays, bases of domains, parts of ranges and composites) come from. There
 * is at least one row, unless the relation has been dropped. */
static const char question[] =
    "WITH RECURSIVE part(oid) AS ("
    " SELECT atttypid FROM pg_catalog.pg_attribute WHERE attrelid = $1::pg_catalog.oid AND attnum "
    "> 0 AND NOT attisdropped"
    " UNION SELECT e.oid FROM part p JOIN pg_catalog.pg_type t ON t.oid = p.oid,"
    " LATERAL (SELECT t.typelem WHERE t.typelem <> 0 UNION ALL SELECT t.typbasetype WHERE "
    "t.typbasetype <> 0"
    "  UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid"
    "  UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a"
    "   WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped) "
    "AS e(oid))"
    " SELECT DISTINCT " SETTINGS ", n.nspname, c.relname, x.extname COLLATE \"C\","
    " c.relkind IN ('r', 'p')"
    " FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN (part p JOIN pg_catalog.pg_depend d ON d.objid = p.oid AND d.deptype = 'e'"
    "   AND d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass"
    "   AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
    "  JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid) ON true"
    " WHERE c.oid = $1::pg_catalog.oid ORDER BY 4";

enum { COLUMN_SETTINGS, COLUMN_SCHEMA, COLUMN_NAME, COLUMN_EXTENSION, COLUMN_LOCKED };
#define COLUMNS "TttTb"

static int take_address(const struct connection *connection, struct dump *dump)
{
    const char *const values[DUMP_ADDRESS] = {connection_address(connection),
                                              connection_hostaddr(connection),
                                              connection_port(connection)};
    for (size_t i = 0; i < DUMP_ADDRESS; i++)
        if ((dump->address[i] = strdup(values[i])) == NULL)
            return -ENOMEM;
    return 0;
}

/* Reads what does not depend on the relation. */
static int take_server(const struct connection *connection, const PGresult *rows, struct dump *dump)
{
    const char *settings = PQgetvalue(rows, 0, COLUMN_SETTINGS);
    dump->ascii = strcmp(connection_encoding(connection), "SQL_ASCII") == 0;
    find_program(connection_version(connection) / 10000, dump->program);
    int rc = buffer_append(&dump->settings, settings, strlen(settings) + 1);
    return rc == 0 ? take_address(connection, dump) : rc;
}

static int select_extension(struct dump *dump, const char *name)
{
    struct text extension = {0};
    sql_name(&extension, name);
    const char *pattern = text_string(&extension);
    int rc = pattern != NULL ? dump_select(dump, "--extension=", pattern) : -ENOMEM;
    text_clear(&extension);
    return rc;
}

/* Patterns are literal inside double quotes. */
static int select_relation(const PGresult *rows, struct dump *dump)
{
    struct text table = {0};
    sql_relation(&table, PQgetvalue(rows, 0, COLUMN_SCHEMA), PQgetvalue(rows, 0, COLUMN_NAME));
    const char *pattern = text_string(&table);
    int rc = pattern != NULL ? dump_select(dump, "--strict-names", "") : -ENOMEM;
    if (rc == 0)
        rc = dump_select(dump, "--table=", pattern);
    for (int i = 0; i < PQntuples(rows) && rc == 0; i++)
        if (!PQgetisnull(rows, i, COLUMN_EXTENSION))
            rc = select_extension(dump, PQgetvalue(rows, i, COLUMN_EXTENSION));
    text_clear(&table);
    return rc;
}

/* Tries the lock that pg_dump will take: this server's answer has an SQLSTATE, pg_dump's has none.
 */
static int try_lock(struct connection *connection, const PGresult *rows, struct error *error)
{
    struct text sql = {0};
    text_put(&sql, "LOCK TABLE ");
    sql_relation(&sql, PQgetvalue(rows, 0, COLUMN_SCHEMA), PQgetvalue(rows, 0, COLUMN_NAME));
    text_put(&sql, " IN ACCESS SHARE MODE");
    const char *statement = text_string(&sql);
    int rc =
        statement != NULL ? connection_run(connection, statement, error) : error_no_memory(error);
    if (rc == -EACCES)
        error_prefix(error,
                     "pg_dump has to lock the table, which takes a privilege on the whole of it");
    text_clear(&sql);
    return rc;
}

int dump_ask(struct connection *connection, const struct relation *relation, struct dump *out,
             struct error *error)
{
    PGresult *rows = NULL;
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation->oid);
    const char *parameter = oid;
    int rc = connection_begin(connection, TRANSACTION_TABLES, NULL, error);
    if (rc == 0)
        rc = connection_ask(connection, question, 1, &parameter, ROWS_OF(COLUMNS), &rows, error);
    if (rc == 0 && PQntuples(rows) == 0)
        rc = error_set(error, -ENOENT, "relation \"%s\".\"%s\" has been dropped", relation->schema,
                       relation->name);
    if (rc == 0 && PQgetvalue(rows, 0, COLUMN_LOCKED)[0] == 't')
        rc = try_lock(connection, rows, error);
    if (rc == 0) {
        rc = take_server(connection, rows, out);
        if (rc == 0)
            rc = select_relation(rows, out);
        if (rc != 0)
            error_no_memory(error);
    }
    PQclear(rows);
    connection_end(connection);
    return rc;
}

int dump_ask_any(struct connection *connection, struct dump *out, struct error *error)
{
    PGresult *rows = NULL;
    int rc = connection_rows(connection, "SELECT " SETTINGS, ONE_ROW_OF("T"), &rows, error);
    if (rc == 0 && (rc = take_server(connection, rows, out)) != 0)
        error_no_memory(error);
    PQclear(rows);
    return rc;
}

int dump_select(struct dump *dump, const char *option, const char *value)
{
    struct list selection = {.items = dump->selection};
    while (dump->selection != NULL && dump->selection[selection.count] != NULL)
        selection.count++;
    int rc = add_formatted(&selection, option, value);
    dump->selection = selection.items;
    return rc;
}

void dump_select_nothing(struct dump *dump)
{
    for (char **argument = dump->selection; argument != NULL && *argument != NULL; argument++)
        free(*argument);
    free(dump->selection);
    dump->selection = NULL;
}

void dump_clear(struct dump *dump)
{
    dump_select_nothing(dump);
    buffer_clear(&dump->settings);
    for (size_t i = 0; i < DUMP_ADDRESS; i++)
        free(dump->address[i]);
    free(dump->snapshot);
    *dump = (struct dump){0};
}

/* ---- running it ---- */

/* Puts pg_dump's last words into one line. They are in English, but for the server's messages in
 * them. */
static int fail_dump(struct buffer *words, int status, enum dump_failure *failure,
                     struct error *error)
{
    static const char not_connected[] = "pg_dump: error: connection to ";
    if (buffer_append_byte(words, '\0') != 0)
        return error_no_memory(error);
    char *text = (char *)words->data;
    words_tidy(text, words->size, "UTF8");
    if (*text == '\0')
        return error_set(error, -EIO, "pg_dump ended with status %d and said nothing", status);
    if (strncmp(text, not_connected, strlen(not_connected)) == 0)
        *failure = DUMP_NOT_CONNECTED;
    else if (strstr(text, "uery was: LOCK TABLE ") != NULL)
        *failure = DUMP_NOT_LOCKED;
    else if (strstr(text, "uery was: SET TRANSACTION SNAPSHOT ") != NULL)
        *failure = DUMP_NO_SNAPSHOT;
    if (strlen(text) > WORDS_SIZE) {
        text[WORDS_SIZE] = '\0';
        utf8_trim(text);
    }
    return error_set(error, -EIO, "%s", text);
}

static int run(const struct dump *dump, char *const *arguments, char *const *environment,
               child_look *look, void *context, struct buffer *out, enum dump_failure *failure,
               struct error *error)
{
    struct buffer words = {0};
    int status = 0;
    *failure = DUMP_FAILED;
    int rc = child_run(dump->program, arguments, environment, look, context, out, &words, &status);
    if (rc == -ENOENT)
        error_set(error, rc, "pg_dump is not installed (Debian: postgresql-client)");
    else if (rc != 0)
        error_set(error, rc, "cannot run %s: %s", dump->program, strerror(-rc));
    else if (rc == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        rc = fail_dump(&words, status, failure, error);
    buffer_clear(&words);
    return rc;
}

int dump_run(const struct dump *dump, const struct server *server, const char *application,
             child_look *look, void *context, struct buffer *out, enum dump_failure *failure,
             struct error *error)
{
    struct list arguments = {0}, environment = {0};
    struct text conninfo = {0};
    int rc = make_environment(dump, server, application, &environment, &conninfo);
    const char *parameters = text_string(&conninfo);
    if (rc == 0)
        rc = parameters != NULL ? pin_settings(dump, &environment) : -ENOMEM;
    if (rc == 0)
        rc = make_arguments(dump, parameters, &arguments);
    rc = rc == 0 ? run(dump, arguments.items, environment.items, look, context, out, failure, error)
                 : error_no_memory(error);
    list_clear(&arguments);
    list_clear(&environment);
    text_clear(&conninfo);
    return rc;
}

/* ---- pg_restore ---- */

/* Finds the pg_restore beside pg_dump. */
static void find_restorer(const struct dump *dump, char path[PATH_SIZE])
{
    static const char name[] = "pg_restore";
    const char *slash = strrchr(dump->program, '/');
    int folder = slash == NULL ? 0 : (int)(slash - dump->program) + 1;
    int size = snprintf(path, PATH_SIZE, "%.*s%s", folder, dump->program, name);
    if (size >= PATH_SIZE)
        strcpy(path, name);
}

static int run_restorer(const struct dump *dump, char *const *arguments, char *const *environment,
                        child_look *look, void *context, struct buffer *out, struct error *error)
{
    char program[PATH_SIZE];
    struct buffer words = {0};
    int status = 0;
    find_restorer(dump, program);
    int rc = child_run(program, arguments, environment, look, context, out, &words, &status);
    if (rc != 0)
        error_set(error, rc, "cannot run %s: %s", program, strerror(-rc));
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        rc = error_set(error, -EIO, "pg_restore ended with status %d", status);
    buffer_clear(&words); /* with --verbose it reports its progress */
    return rc;
}

int dump_restore(const struct dump *dump, const char *archive, const char *const *options,
                 child_look *look, void *context, struct buffer *out, struct error *error)
{
    struct list arguments = {0}, environment = {0};
    int rc = list_add(&arguments, strdup("pg_restore"));
    for (; *options != NULL && rc == 0; options++)
        rc = list_add(&arguments, strdup(*options));
    if (rc == 0)
        rc = list_add(&arguments, strdup(archive));
    if (rc == 0)
        rc = copy_environment(&environment);
    rc = rc == 0 ? run_restorer(dump, arguments.items, environment.items, look, context, out, error)
                 : error_no_memory(error);
    list_clear(&arguments);
    list_clear(&environment);
    return rc;
}
