/* The relations that the role may read.
 *
 * Lifetime: catalog_read makes one, immutable; catalog_free. Threads: read by all.
 */
#ifndef PGCLIENT_CATALOG_H
#define PGCLIENT_CATALOG_H

#include "pgclient/session.h"
#include "pgclient/version_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum relation_kind {
    RELATION_TABLE = 'r',
    RELATION_PARTITIONED = 'p',
    RELATION_VIEW = 'v',
    RELATION_MATVIEW = 'm',
    RELATION_FOREIGN = 'f',
    /* a table whose rows an extension keeps in others: a hypertable, a distributed table. Only a
     * read point knows; a catalog says RELATION_TABLE */
    RELATION_SPREAD = 's',
    /* what a user has written (statement.h); no catalog has it */
    RELATION_STATEMENT = 'q'
};

/* The number that a statement has in the place of an oid is from 1 to below this: no relation of a
 * server has an oid so small. */
enum { STATEMENT_NUMBERS = 100 };

struct relation {
    uint32_t oid;
    uint32_t parent; /* the partitioned table that this is a partition of; 0: none */
    enum relation_kind kind;
    const char *schema, *name; /* SQL names, UTF-8, unquoted */
    const char *statement;     /* of a RELATION_STATEMENT: its text, UTF-8; else NULL */
    bool has_vectors; /* a column is a vector, halfvec, sparsevec or bit string, or a domain */
    bool refuses_rows, refuses_json; /* reading these would run functions of others with a
                                        superuser's rights (trust.h) */
    /* the role may lock it as pg_dump does; privileges on columns alone do not allow that */
    bool has_ddl;
};

struct catalog {
    const char **schemas; /* sorted by bytes; those with USAGE, empty ones too */
    size_t schema_count;
    struct relation *relations; /* sorted by (schema, name), bytes */
    size_t relation_count;
    /* the cluster's name (cluster.h); it and `database` decide which cache is ours */
    uint64_t system_id;
    uint32_t database; /* oid */
    const char *role;  /* current_user */
    bool superuser;    /* the role is a superuser, or may become one */
    bool pooled;       /* a pooler stood in between when the catalog was read */
    int64_t born; /* seconds since 1970 when the cluster was made, from its system identifier; 0 if
                     the role may not know that */
};

struct catalog_scope {
    char **schemas; /* NULL-terminated list of the only schemas to show; NULL: all */
    bool system;    /* pg_catalog and information_schema too */
};

/* It takes two queries, for a superuser three, whatever the number of relations. Tables,
 * partitioned tables, views, materialized views and foreign tables on which the role has SELECT (on
 * the table or on every column) in schemas on which it has USAGE; no temporary ones. */
MUST_CHECK int catalog_read(struct session *session, const struct catalog_scope *scope,
                            struct catalog **out, struct error *error);
void catalog_free(struct catalog *catalog);

/* This is the cluster that is mounted: from now on marks and keys of the pool's sessions name it as
 * this catalog does, whatever the role may ask for later. To be called once, before other threads
 * use the pool. */
void catalog_is_mounted(const struct catalog *catalog, struct session_pool *pool);

/* Sets there[i] for each of these sorted relations: whether it exists, also if the role may not
 * read it. */
MUST_CHECK int catalog_has(struct session *session, const uint32_t *oids, size_t count, bool *there,
                           struct error *error);

/* The present mark (version_key.h): if it holds later, nothing that a transaction could change has
 * become visible in the whole cluster. Newly allocated. It proves nothing about views with volatile
 * functions and about foreign tables. */
MUST_CHECK int catalog_mark(struct session *session, char **out, struct error *error);

/* Which run of which cluster answers now, and the mark: the rest of the key is empty. Within the
 * session's transaction, if there is one. The caller clears it. */
MUST_CHECK int catalog_now(struct session *session, struct version_key *out, struct error *error);

#endif
