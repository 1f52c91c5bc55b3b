/* The paths by which names are found.
 *
 * A name without a schema is looked for among temporary tables first, before the server's own
 * catalogs, unless the path says where they come; and in a session that a pooler lends to us there
 * may be somebody else's. So they come last, wherever a path is ours to say.
 */
#ifndef PGCLIENT_SEARCH_PATH_H
#define PGCLIENT_SEARCH_PATH_H

#include "codec/text.h"

/* SQL: that of our own questions, until the transaction ends. */
#define SEARCH_PATH_OURS "SET LOCAL search_path = pg_catalog, pg_temp"

/* Appends the schemas of `path`, which is as the server shows the setting, in the same order, each
 * quoted, without empty names; then those of temporary tables. -EINVAL: no list of names. */
void search_path_put(struct text *sql, const char *path);

#endif
