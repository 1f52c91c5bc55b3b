/* Texts that do not change, shared by all who show them: a value of a session, the questions that
 * have it, the files that are open and show it. There is one copy, however many these are.
 *
 * Lifetime: reference-counted; a text is freed by nothing else than shared_text_unref. Threads:
 * any, but for shared_text_count, which is called before a second reference is taken.
 */
#ifndef FS_BASE_SHARED_TEXT_H
#define FS_BASE_SHARED_TEXT_H

#include "fs/base/written.h"

#include <stddef.h>

/* A copy of the bytes, with a zero byte behind it. NULL: no memory. */
char *shared_text_new(const void *bytes, size_t size);
/* Of NULL these are NULL, 0 and nothing. */
char *shared_text_ref(char *text);
size_t shared_text_size(const char *text);
void shared_text_unref(char *text);

/* Whether nobody else has it. */
bool shared_text_is_alone(const char *text);

/* Its bytes count as written until it is freed. */
void shared_text_count(char *text, struct written *written);

#endif
