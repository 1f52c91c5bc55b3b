/* What pg_dump printed, as the text of a file: equal at two times if the DDL is.
 *
 * Errors: -ENOMEM, -EIO libcrypto refuses; then `out` is as before.
 */
#ifndef PGCLIENT_DDL_TEXT_H
#define PGCLIENT_DDL_TEXT_H

#include "codec/buffer.h"
#include "codec/keyed_hash.h"

#include <stdbool.h>

/* Appends the dump without what changes from run to run: the versions in its head, and the random
 * key of \restrict and \unrestrict, between which psql takes no other meta-command. Their key here
 * is the keyed hash of the text below \restrict, so that nobody without the secret can put the key
 * into the text. A dump without these lines gets none. */
MUST_CHECK int ddl_text(const struct buffer *dump, const uint8_t secret[KEYED_HASH_KEY],
                        struct buffer *out);

/* Whether `old`, made when the two lines were still left out, is as good as `fresh`: the same text
 * but for them, and without a backslash, which every meta-command begins with. */
bool ddl_text_replaces(const struct buffer *old, const struct buffer *fresh);

#endif
