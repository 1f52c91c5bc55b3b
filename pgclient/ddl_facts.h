/* What a server says about all its relations: it tells to which relation each entry of an archive
 * of DDL belongs.
 *
 * Lifetime: filled by ddl_facts_read, ddl_facts_clear. Errors: as session.h, and -EFBIG: there are
 * more relations than one dump should have.
 */
#ifndef PGCLIENT_DDL_FACTS_H
#define PGCLIENT_DDL_FACTS_H

#include "pgclient/connection.h"

enum { DDL_RELATIONS_MOST = 20000 };

/* A table, partitioned table, view, materialized view or foreign table of a user's. */
struct ddl_relation {
    uint32_t oid;
    char kind;                 /* as relation_kind */
    const char *schema, *name; /* borrowed from the facts */
    bool member;               /* of an extension: pg_dump leaves its definition to the extension */
    uint32_t parent;   /* the first relation that it inherits from, or is a partition of; 0: none */
    bool deep;         /* one of those has a parent, too */
    bool has_children; /* pg_dump locks them with it */
    /* left out of dumps of many: the role may not lock it, or others have locked it or what it is
     * made of */
    bool left_out;
};

struct ddl_object { /* part of a relation: an index, a constraint, a sequence that it owns, … */
    uint32_t catalog, object;
    uint32_t relation; /* 0: of none */
};

struct ddl_need { /* a column of the relation has a type of the extension */
    uint32_t relation, extension;
};

struct ddl_facts {
    struct ddl_relation *relations; /* by oid */
    size_t relation_count;
    struct ddl_object *objects; /* by catalog and object */
    size_t object_count;
    struct ddl_need *needs; /* by relation and extension */
    size_t need_count;
    void *rows; /* the answer that holds the names */
};

/* Reads in the present transaction, of TRANSACTION_TABLES. */
MUST_CHECK int ddl_facts_read(struct connection *connection, struct ddl_facts *out,
                              struct error *error);
void ddl_facts_clear(struct ddl_facts *facts);

/* NULL: there is none. */
const struct ddl_relation *ddl_facts_relation(const struct ddl_facts *facts, uint32_t oid);
const struct ddl_object *ddl_facts_object(const struct ddl_facts *facts, uint32_t catalog,
                                          uint32_t object);
/* The first of the relation's needs; *count gets their number. */
const struct ddl_need *ddl_facts_needs(const struct ddl_facts *facts, uint32_t relation,
                                       size_t *count);

#endif
