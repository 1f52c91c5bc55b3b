/* What pg_dump printed, as the text of a file: the text is equal at two times if the DDL is.
 *
 * Errors: -ENOMEM, -EIO libcrypto refuses. After an error `out` is as before.
 */
#ifndef PGCLIENT_DDL_TEXT_H
#define PGCLIENT_DDL_TEXT_H

#include "codec/buffer.h"
#include "codec/keyed_hash.h"

#include <stdbool.h>

/* Appends the dump without what changes from run to run: the versions in its head, and the random
 * key of \restrict and \unrestrict, between which psql accepts no other meta-command. In its place
 * is the keyed hash of the text below \restrict: without the secret no user can put this key into
 * the text. A dump without these lines gets none. */
MUST_CHECK int ddl_text(const struct buffer *dump, const uint8_t secret[KEYED_HASH_KEY],
                        struct buffer *out);

/* Whether `old`, from a version that left the two lines out, is as good as `fresh`: it is the same
 * text but for them, and has no backslash, with which every meta-command begins. */
bool ddl_text_replaces(const struct buffer *old, const struct buffer *fresh);

#endif
