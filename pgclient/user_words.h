/* A transaction in which our own questions and what a user wrote take turns: a filter, a statement.
 *
 * Threads, errors: as pgclient/connection.h says.
 */
#ifndef PGCLIENT_USER_WORDS_H
#define PGCLIENT_USER_WORDS_H

#include "pgclient/connection.h"
#include "pgclient/search_path.h"

/* For our own question, not the user's: without the user's time limits, and with our path. */
#define USER_WORDS_OURS SEARCH_PATH_OURS "; SET LOCAL statement_timeout = 0"

/* After that: the user's settings again. */
MUST_CHECK int user_words_settings(struct connection *connection, struct error *error);

/* A statement with the user's words in it has failed: those words are to blame (-EINVAL), unless the
 * connection failed, or the server lacks something or is damaged. */
MUST_CHECK int user_words_blame(const struct connection *connection, int rc);

#endif
