/* What a relation is, as one snapshot sees it: its columns, the sources of its rows, and the
 * signature of all that its output depends on. For readpoint.c, which calls it in its transaction,
 * after it has locked the relation.
 *
 * Errors: as session.h; -ESTALE if the snapshot and the present state of the server do not agree: a
 * new snapshot is needed.
 */
#ifndef PGCLIENT_DESCRIBE_H
#define PGCLIENT_DESCRIBE_H

#include "codec/schema.h"
#include "pgclient/catalog.h"
#include "pgclient/connection.h"
#include "pgclient/source.h"

/* The sources in order; one stream for the whole relation if its rows cannot be read by ctid. */
struct sources {
    struct source *list;
    size_t count;
    bool by_ctid; /* all of them are; true also if there are none */
    /* all rows are in this server's heaps, and no policy chooses them: they stay the same as long
     * as nothing is written, also if they come as a stream */
    bool heaps;
    char *children; /* as in readpoint.h; may be NULL */
};

/* Turns a table into a RELATION_SPREAD if the catalog of an extension says that it is one; if the
 * role may not read that catalog, a trigger of the extension tells. -EACCES, with the reason:
 * nothing tells this role. */
MUST_CHECK int describe_spread(struct connection *connection, struct relation *relation,
                               struct error *error);

/* `filtered`: policies choose the rows. */
MUST_CHECK int describe_sources(struct connection *connection, const struct relation *relation,
                                bool filtered, struct sources *out, struct error *error);
void sources_clear(struct sources *sources);

struct columns {
    struct schema *schema; /* with_row_ids if sources->by_ctid */
    bool *with_binary;
    bool json_apart;     /* as in readpoint.h */
    bool self_contained; /* the columns' texts depend on their values and the signature alone */
};

/* `present` (nullable) has the columns as they are under the lock: a SELECT * of no rows.
 * `statement`: what statement_columns gives of a RELATION_STATEMENT; else NULL. */
MUST_CHECK int describe_columns(struct connection *connection, const struct relation *relation,
                                bool with_row_ids, const PGresult *present, const char *statement,
                                struct columns *out, struct error *error);
void columns_clear(struct columns *columns);

/* `more` (nullable): what else the output depends on; BY_POLICIES: on the policies, too.
 * `statement`: as above. */
#define BY_POLICIES "policies"
MUST_CHECK int describe_signature(struct connection *connection, const struct relation *relation,
                                  const struct sources *sources, const char *more,
                                  const char *statement, char **out, struct error *error);

#endif
