/* Texts that do not change, shared by all that show them: a value of a session, the questions that
 * have it, the open files that show it. There is one copy, however many share it.
 *
 * A text may grow at its end (shared_text_append), also while others have it. So a user of one
 * that may grow remembers how many bytes it had then: these do not change.
 *
 * Lifetime: reference-counted; only shared_text_unref frees a text. Threads: any; calls of
 * shared_text_count for one text come one after the other.
 */
#ifndef FS_BASE_SHARED_TEXT_H
#define FS_BASE_SHARED_TEXT_H

#include "fs/base/written.h"

#include <stddef.h>

/* A copy of the bytes, with a zero byte behind it. NULL: no memory. */
char *shared_text_new(const void *bytes, size_t size);
/* For NULL these give NULL, 0 and do nothing. */
char *shared_text_ref(char *text);
size_t shared_text_size(const char *text); /* with all that was appended */
void shared_text_unref(char *text);

/* Appends to a text that is `size` bytes to the caller. In place, if nobody has appended to these
 * and there is room. Else *text becomes a copy that has room, and the caller's reference goes to
 * that. No zero byte is behind it from then on. -ENOMEM: nothing has changed. */
MUST_CHECK int shared_text_append(char **text, size_t size, const void *bytes, size_t more);

/* Whether there are no references but so many, which are the caller's. */
bool shared_text_is_ours(const char *text, unsigned refs);

/* Counts so many bytes of it as written until it is freed. */
void shared_text_count(char *text, size_t size, struct written *written);

#endif
