/* The server's messages, made fit to be shown.
 *
 * Threads: none of its own. Errors: none.
 */
#ifndef PGCLIENT_WORDS_H
#define PGCLIENT_WORDS_H

#include <stddef.h>

/* Makes of a text in `encoding` (PostgreSQL's name of it; NULL: unknown) one line of UTF-8 within
 * `size` bytes, cut at a character's start. Bytes that belong to no character, and all beyond ASCII
 * if the encoding is not known, become '?'. */
void words_tidy(char *text, size_t size, const char *encoding);

#endif
