/* How the server understands a statement. */
#include "pgclient/connection_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The server prints a tree only to its log and, as a debugging aid, to the client. */
#define PRINT_TREES                                                                                \
    "SELECT pg_catalog.set_config('log_min_messages', 'fatal', true)"                              \
    " WHERE pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on';"               \
    " SET LOCAL client_min_messages = log; SET LOCAL debug_pretty_print = off;"                    \
    " SET LOCAL debug_print_parse = on"
#define PRINT_NO_TREES                                                                             \
    "SET LOCAL debug_print_parse = off; SET LOCAL client_min_messages = error;"                    \
    " SELECT pg_catalog.set_config('log_min_messages', s.reset_val, true)"                         \
    " FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) 'log_min_messages'"        \
    " AND pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on'"

struct told_tree {
    char *text; /* NULL: no tree came, */
    bool lost;  /* or there was no memory for it */
};

static void keep_tree(void *context, const PGresult *notice)
{
    struct told_tree *tree = context;
    const char *what = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(notice, PG_DIAG_MESSAGE_DETAIL);
    if (tree->text == NULL && what != NULL && detail != NULL && strcmp(what, "parse tree:") == 0)
        tree->lost = (tree->text = strdup(detail)) == NULL;
}

int connection_parse_tree(struct connection *connection, const char *sql, char **out,
                          struct error *error)
{
    struct told_tree tree = {0};
    int rc = connection_run(connection, PRINT_TREES, error);
    if (rc < 0)
        return rc;
    PQnoticeReceiver before = PQsetNoticeReceiver(connection->pg, keep_tree, &tree);
    rc = connection_parse(connection, sql, error);
    PQsetNoticeReceiver(connection->pg, before, NULL);
    if (rc == 0)
        rc = connection_run(connection, PRINT_NO_TREES, error);
    if (rc == 0 && tree.lost)
        rc = error_no_memory(error);
    else if (rc == 0 && tree.text == NULL)
        rc = error_set(error, -EIO, "the server does not say how it understands a statement");
    if (rc == 0)
        *out = tree.text;
    else
        free(tree.text);
    return rc;
}
