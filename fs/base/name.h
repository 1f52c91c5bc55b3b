/* SQL names as file names. Each byte of `%`, `/`, a leading `.`, control characters (also DEL and
 * U+0080-9F) and the characters that turn the direction of writing (U+061C, 200E, 200F, 202A-202E,
 * 2066-2069) is written %XX in upper-case hex; the rest, UTF-8, stays. The names correspond one to
 * one: a file name that is encoded in any other way names nothing. */
#ifndef FS_BASE_NAME_H
#define FS_BASE_NAME_H

#include "codec/buffer.h"

#include <stdbool.h>

/* Appends the file name. */
MUST_CHECK int name_encode(const char *sql, struct buffer *out);

/* The SQL name of `size` bytes of a file name, newly allocated. -ENOENT: no SQL name is encoded
 * like that. */
MUST_CHECK int name_decode(const char *file, size_t size, char **out);

/* For names that are made of several SQL texts. Appends a part, which may be empty; `first`: the
 * name begins with it; `also`: further characters, of ASCII, that are written %XX. */
MUST_CHECK int name_encode_part(const char *sql, bool first, const char *also, struct buffer *out);

/* Decodes %XX of any byte but NUL, whether it must be written so or not; `sql` has room for size + 1
 * bytes. False: it is no name. */
bool name_unescape(const char *file, size_t size, char *sql);

#endif
