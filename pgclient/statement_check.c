#include "pgclient/statement.h"

#include "pgclient/connection.h"
#include "pgclient/readpoint.h"
#include "pgclient/user_words.h"

#include <errno.h>

/* Alone it must be one whole statement: so in brackets it is one, too, and closes none of ours. */
static int check_whole(struct connection *connection, const struct relation *relation,
                       struct error *error)
{
    int rc = connection_begin(connection, TRANSACTION_USER, NULL, error);
    if (rc == 0)
        rc = connection_parse(connection, relation->statement, error);
    connection_end(connection);
    return rc;
}

static bool is_vector(const struct type *type)
{
    static const char *const vectors[] = {"vector", "halfvec", "sparsevec"};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        if (type == type_find("vector", vectors[i]))
            return true;
    return type == type_find(NULL, "bit") || type == type_find(NULL, "varbit");
}

int statement_check(struct session *session, struct relation *relation, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct readpoint *readpoint;
    int rc = check_whole(connection, relation, error);
    if (rc == 0)
        rc = readpoint_open(session, relation, &readpoint, error);
    if (rc < 0)
        return user_words_blame(connection, rc);
    relation->refuses_json = readpoint->json_refused != NULL;
    relation->has_vectors = false;
    for (int i = 0; i < readpoint->schema->column_count; i++) {
        const struct type *type = readpoint->schema->columns[i].type;
        relation->has_vectors |= type != NULL && is_vector(type);
    }
    if (readpoint->schema->column_count == 0)
        rc = error_set(error, -EINVAL, "it has no columns");
    readpoint_close(readpoint);
    return rc;
}
