/* Which rows row-level security may choose for a view in silence.
 *
 * The server checks the policies of a table that a view reads as the view's owner, who may be shown
 * fewer rows: that belongs to the view's meaning. Rows that are hidden from the role itself would
 * be missing from a file, and no reader would know. One setting, row_security, decides for both; if
 * it is off, either case is an error.
 *
 * Errors: as connection.h.
 */
#ifndef PGCLIENT_POLICIES_H
#define PGCLIENT_POLICIES_H

#include "pgclient/connection.h"

/* Whether a view needs row_security, and hides nothing from the role with it; false if in doubt.
 * Call it under SEARCH_PATH_OURS. */
MUST_CHECK int policies_bind_owners_only(struct connection *connection, uint32_t view, bool *out,
                                         struct error *error);

#endif
