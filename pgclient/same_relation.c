#include "pgclient/same_relation.h"

#include "pgclient/sql_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int same_relation_check(struct connection *connection, const struct relation *relation,
                        struct error *error)
{
    static const char question[] =
        "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid,"
        " EXISTS (SELECT FROM pg_catalog.pg_class c"
        "  WHERE c.oid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT $2::pg_catalog.oid"
        "   UNION ALL SELECT t.relid FROM pg_catalog.pg_partition_tree($2::pg_catalog.oid) t))"
        "  AND c.relfilenode OPERATOR(pg_catalog.<>) 0::pg_catalog.oid"
        "  AND c.relfilenode OPERATOR(pg_catalog.<>)"
        "   coalesce(pg_catalog.pg_relation_filenode(c.oid), 0::pg_catalog.oid))";
    struct text name = {0};
    char oid[16];
    if (relation->kind == RELATION_STATEMENT)
        return 0;
    snprintf(oid, sizeof oid, "%u", relation->oid);
    sql_relation(&name, relation->schema, relation->name);
    const char *parameters[] = {text_string(&name), oid};
    PGresult *rows = NULL;
    int rc = name.failed != 0 ? error_no_memory(error)
                              : connection_ask(connection, question, 2, parameters,
                                               ONE_ROW_OF("Nb"), &rows, error);
    text_clear(&name);
    if (rc == 0 && strtoul(PQgetvalue(rows, 0, 0), NULL, 10) != relation->oid)
        rc = error_set(error, -ESTALE, "the table was renamed or dropped in the meantime");
    if (rc == 0 && PQgetvalue(rows, 0, 1)[0] == 't')
        rc = error_set(error, -ESTALE, "the table was written anew in the meantime");
    PQclear(rows);
    return rc;
}
