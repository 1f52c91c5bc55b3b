#include "pgclient/server.h"

#include "codec/text.h"
#include "pgclient/conninfo.h"

#include <errno.h>
#include <stdlib.h>

struct server {
    char **keywords, **values; /* NULL-terminated */
    size_t count;
    char *name;
    bool has_password;
    struct reading reading;
};

static int add(struct server *server, const char *keyword, const char *value)
{
    size_t n = server->count;
    server->keywords[n] = strdup(keyword);
    server->values[n] = strdup(value);
    if (server->keywords[n] == NULL || server->values[n] == NULL)
        return -ENOMEM;
    server->count++;
    return 0;
}

static struct server *with_room(size_t parameters)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->keywords = calloc(parameters + 1, sizeof *server->keywords);
    server->values = calloc(parameters + 1, sizeof *server->values);
    if (server->keywords != NULL && server->values != NULL)
        return server;
    server_free(server);
    return NULL;
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
}

/* What libpq uses for each parameter but sslmode, with environment, service file and defaults.
 * libpq reads the service that a string names only when it connects. So we make an attempt that
 * libpq refuses before it looks for the server: its sslmode does not exist. */
static PQconninfoOption *effective_options(const struct server *server)
{
    size_t n = 0;
    const char **keywords = calloc(server->count + 3, sizeof *keywords);
    const char **values = calloc(server->count + 3, sizeof *values);
    PQconninfoOption *options = NULL;
    if (keywords != NULL && values != NULL) {
        for (size_t i = 0; i < server->count; i++) {
            if (strcmp(server->keywords[i], "sslmode") == 0)
                continue;
            keywords[n] = server->keywords[i];
            values[n++] = server->values[i];
        }
        keywords[n] = "sslmode";
        values[n] = "none of libpq's";
        PGconn *pg = PQconnectStartParams(keywords, values, 0);
        options = PQconninfo(pg);
        PQfinish(pg);
    }
    free(keywords);
    free(values);
    return options;
}

static void append_named(struct text *name, const char *keyword, const char *value)
{
    if (value == NULL)
        return;
    text_printf(name, "%s%s='", name->bytes.size > 0 ? " " : "", keyword);
    for (const char *c = value; *c != '\0'; c++) {
        text_put(name, *c == '\'' || *c == '\\' ? "\\" : "");
        text_put_byte(name, (unsigned char)*c < ' ' ? '?' : *c);
    }
    text_put_byte(name, '\'');
}

/* A dbname may itself be a connection string for PQconnectdb, but not here: expand_dbname is never
 * asked for. */
static int name_it(struct server *server, const PQconninfoOption *given,
                   const PQconninfoOption *effective)
{
    static const char *const shown[] = {"service", "host", "hostaddr", "port", "dbname", "user"};
    struct text name = {0};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        const char *value = conninfo_value(given, shown[i]);
        if (value == NULL)
            value = conninfo_value(effective, shown[i]);
        append_named(&name, shown[i], value);
    }
    server->name = text_take(&name);
    return server->name != NULL ? 0 : -ENOMEM;
}

static int fill(struct server *server, const PQconninfoOption *given)
{
    int rc = 0;
    for (const PQconninfoOption *o = given; o->keyword != NULL && rc == 0; o++)
        if (o->val != NULL && strcmp(o->keyword, "client_encoding") != 0)
            rc = add(server, o->keyword, o->val);
    return rc;
}

/* With these a server that is gone without a word is noticed within a minute. */
static int add_defaults(struct server *server, const PQconninfoOption *effective)
{
    static const char *const defaults[][2] = {
        {"connect_timeout", "10"}, {"keepalives_idle", "30"},     {"keepalives_interval", "10"},
        {"keepalives_count", "3"}, {"tcp_user_timeout", "60000"},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && rc == 0; i++) {
        /* libpq itself says tcp_user_timeout 0 if nothing is given; a user who wants no limit gives
         * a large one. */
        const char *value = conninfo_value(effective, defaults[i][0]);
        if (value == NULL || strcmp(value, "0") == 0)
            rc = add(server, defaults[i][0], defaults[i][1]);
    }
    if (rc == 0)
        rc = add(server, "fallback_application_name", "pgvecfs");
    return rc == 0 ? add(server, "client_encoding", "UTF8") : rc;
}

int server_parse(const char *conninfo, struct server **out, struct error *error)
{
    PQconninfoOption *given = PQconninfoParse(conninfo, NULL);
    if (given == NULL)
        return error_set(
            error, -EINVAL,
            "not a connection string: give a libpq URI (postgresql://user@host/database) or "
            "keyword=value pairs (host=… dbname=… user=…), a value with spaces in single quotes");
    size_t most = 8;
    for (const PQconninfoOption *o = given; o->keyword != NULL; o++)
        most++;
    PQconninfoOption *effective = NULL;
    struct server *server = with_room(most);
    int rc = server == NULL ? -ENOMEM : fill(server, given);
    if (rc == 0) {
        effective = effective_options(server);
        server->has_password = conninfo_value(given, "password") != NULL;
        rc = name_it(server, given, effective);
    }
    if (rc == 0)
        rc = add_defaults(server, effective);
    conninfo_free(given);
    conninfo_free(effective);
    if (rc != 0) {
        server_free(server);
        return error_set(error, rc, "out of memory");
    }
    *out = server;
    return 0;
}

bool server_has_password(const struct server *server) { return server->has_password; }

const char *server_name(const struct server *server) { return server->name; }

const char *const *server_keywords(const struct server *server)
{
    return (const char *const *)server->keywords;
}

const char *const *server_values(const struct server *server)
{
    return (const char *const *)server->values;
}

void server_let_read(struct server *server, struct reading reading) { server->reading = reading; }

struct reading server_reading(const struct server *server) { return server->reading; }

int server_copy(const struct server *server, struct server **out)
{
    return server_copy_with(server, (const char *const[]){NULL}, NULL, out);
}

/* libpq takes the last of several parameters of one name. */
int server_copy_with(const struct server *server, const char *const *keywords,
                     const char *const *values, struct server **out)
{
    size_t more = 0;
    while (keywords[more] != NULL)
        more++;
    struct server *copy = with_room(server->count + more);
    int rc = copy == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < server->count && rc == 0; i++)
        rc = add(copy, server->keywords[i], server->values[i]);
    for (size_t i = 0; i < more && rc == 0; i++)
        if (values[i][0] != '\0')
            rc = add(copy, keywords[i], values[i]);
    if (rc == 0) {
        copy->has_password = server->has_password;
        copy->reading = server->reading;
        copy->name = strdup(server->name);
        rc = copy->name == NULL ? -ENOMEM : 0;
    }
    if (rc != 0)
        server_free(copy);
    else
        *out = copy;
    return rc;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; server->keywords != NULL && server->keywords[i] != NULL; i++)
        free(server->keywords[i]);
    for (size_t i = 0; server->values != NULL && server->values[i] != NULL; i++) {
        wipe(server->values[i]);
        free(server->values[i]);
    }
    free(server->keywords);
    free(server->values);
    free(server->name);
    free(server);
}
