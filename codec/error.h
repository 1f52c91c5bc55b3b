/* The words that go with an errno, for the person who has to act on it.
 *
 * Functions return 0 or a negative errno. If a person needs to know more, they also take a nullable
 * `struct error *` and write one sentence into it: what failed, on what, and what to do. The text
 * never holds a password or table data. The function that finds the error sets it; callers may put
 * context in front.
 */
#ifndef CODEC_ERROR_H
#define CODEC_ERROR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

struct error {
    char text[1024]; /* UTF-8, NUL-terminated, cut at a character's start; "" = nothing said */
};

/* Writes the sentence, if `error` is not NULL, and returns `code`, a negative errno. */
int error_set(struct error *error, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Says that there is no memory, and returns -ENOMEM. */
int error_no_memory(struct error *error);

/* Puts "context: " in front of the text already there. */
void error_prefix(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
