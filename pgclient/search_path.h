/* The search paths by which the server finds names.
 *
 * The server looks for a name without a schema among temporary tables first, before its own
 * catalogs, unless the path says where temporary tables come. In a session that a pooler lends to
 * us there may be temporary tables of other clients. So temporary tables come last in every path
 * that we set.
 */
#ifndef PGCLIENT_SEARCH_PATH_H
#define PGCLIENT_SEARCH_PATH_H

#include "codec/text.h"

/* SQL that sets the path for our own questions, until the transaction ends. */
#define SEARCH_PATH_OURS "SET LOCAL search_path = pg_catalog, pg_temp"

/* Appends the schemas of `path`, which is as the server shows the setting, in the same order, each
 * quoted, without empty names; then the schema of temporary tables. -EINVAL: `path` is no list of
 * names. */
void search_path_put(struct text *sql, const char *path);

#endif
