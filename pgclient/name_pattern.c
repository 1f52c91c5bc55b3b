#include "pgclient/name_pattern.h"

#include "pgclient/identifier.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Outside of double quotes a pattern is a regular expression. */
static int put_quoted(struct buffer *out, const char *bytes, size_t size)
{
    if (size == 0)
        return 0;
    char *piece = strndup(bytes, size);
    int rc = piece == NULL ? -ENOMEM : identifier_put(out, piece);
    free(piece);
    return rc;
}

/* Whether a character of UTF-8 goes on here. */
static bool goes_on(char byte) { return ((unsigned char)byte & 0xc0) == 0x80; }

/* The size of the character that begins here; 0 at the end. */
static size_t character(const char *at)
{
    size_t size = at[0] != '\0';
    while (size > 0 && goes_on(at[size]))
        size++;
    return size;
}

/* How many bytes the names have in common from `from` on, in whole characters. */
static size_t common(const char *const *names, size_t count, size_t from)
{
    const char *first = names[0] + from, *last = names[count - 1] + from;
    size_t size = 0;
    for (size_t next; (next = character(first + size)) > 0; size += next)
        if (strncmp(first + size, last + size, next) != 0 || goes_on(last[size + next]))
            break;
    return size;
}

/* How many of the names have the same character at `from` as the first one. */
static size_t alike(const char *const *names, size_t count, size_t from)
{
    size_t size = character(names[0] + from), n = 1;
    while (n < count && character(names[n] + from) == size &&
           memcmp(names[0] + from, names[n] + from, size) == 0)
        n++;
    return n;
}

/* What follows the first `from` bytes, which all of them have. */
static int put_rests(struct buffer *out, const char *const *names, size_t count, size_t from)
{
    if (count == 1)
        return put_quoted(out, names[0] + from, strlen(names[0] + from));
    size_t size = common(names, count, from);
    int rc = put_quoted(out, names[0] + from, size);
    from += size;
    for (size_t i = 0, n; rc == 0 && i < count; i += n) {
        n = alike(names + i, count - i, from);
        rc = buffer_append_text(out, i == 0 ? "(" : "|");
        if (rc == 0)
            rc = put_rests(out, names + i, n, from);
    }
    return rc == 0 ? buffer_append_text(out, ")") : rc;
}

int name_pattern_put(struct buffer *out, const char *schema, const char *const *names, size_t count)
{
    int rc = identifier_put(out, schema);
    if (rc == 0)
        rc = buffer_append_text(out, ".");
    return rc == 0 ? put_rests(out, names, count, 0) : rc;
}
