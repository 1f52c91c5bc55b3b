/* What row-level security may choose for a view in silence.
 *
 * The server checks the policies of a table that a view reads as the view's owner, who may well be
 * shown less than all: that is what the view is. What is checked as the role itself would be
 * missing from a file, and nobody would know. One setting, row_security, decides for both; off, it
 * makes either an error.
 *
 * Errors: as connection.h.
 */
#ifndef PGCLIENT_POLICIES_H
#define PGCLIENT_POLICIES_H

#include "pgclient/connection.h"

/* Whether a view needs row_security, and could hide nothing from the role with it: asked under
 * SEARCH_PATH_OURS. In doubt, not. */
MUST_CHECK int policies_bind_owners_only(struct connection *connection, uint32_t view, bool *out,
                                         struct error *error);

#endif
