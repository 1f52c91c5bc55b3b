#include "pgclient/from_clause.h"

void from_put(struct text *sql, const struct relation *relation)
{
    if (relation->kind == RELATION_STATEMENT) {
        text_printf(sql, "(\n%s\n) AS ", relation->statement);
        sql_name(sql, relation->name);
        return;
    }
    text_put(sql, relation->kind == RELATION_TABLE ? "ONLY " : "");
    sql_relation(sql, relation->schema, relation->name);
}
