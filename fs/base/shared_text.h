/* Texts that do not change, shared by all that show them: a value of a session, the questions that
 * have it, the open files that show it. There is one copy, however many share it.
 *
 * Lifetime: reference-counted; only shared_text_unref frees a text. Threads: any, but
 * shared_text_count is called before a second reference is taken.
 */
#ifndef FS_BASE_SHARED_TEXT_H
#define FS_BASE_SHARED_TEXT_H

#include "fs/base/written.h"

#include <stddef.h>

/* A copy of the bytes, with a zero byte behind it. NULL: no memory. */
char *shared_text_new(const void *bytes, size_t size);
/* For NULL these give NULL, 0 and do nothing. */
char *shared_text_ref(char *text);
size_t shared_text_size(const char *text);
void shared_text_unref(char *text);

/* Whether the caller's reference is the only one. */
bool shared_text_is_alone(const char *text);

/* Counts its bytes as written until it is freed. */
void shared_text_count(char *text, struct written *written);

#endif
