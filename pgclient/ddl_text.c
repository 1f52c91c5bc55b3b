#include "pgclient/ddl_text.h"

#include "codec/text.h"

static const char restrict_word[] = "\\restrict ", unrestrict_word[] = "\\unrestrict ";

/* A dump without its versions and without its \restrict and \unrestrict lines, and where these two
 * stood. */
struct plain {
    struct text text;
    bool restricted;
    size_t above, below; /* offsets in text */
};

static bool begins(const char *line, const char *end, const char *with)
{
    size_t n = strlen(with);
    return (size_t)(end - line) >= n && memcmp(line, with, n) == 0;
}

static const char *next_line(const char *line, const char *end)
{
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    return newline == NULL ? end : newline + 1;
}

static const char *skip_empty(const char *line, const char *end)
{
    return line < end && *line == '\n' ? line + 1 : line;
}

/* Finds the last line that ends this \restrict: what stands in between, a function's body for
 * instance, may contain lines like it. */
static const char *find_unrestrict(const char *at, const char *end, const char *key, size_t n)
{
    const size_t word = strlen(unrestrict_word);
    const char *found = NULL;
    for (const char *line = at; line < end; line = next_line(line, end))
        if (begins(line, end, unrestrict_word) && (size_t)(end - line) >= word + n &&
            memcmp(line + word, key, n) == 0)
            found = line;
    return found;
}

/* The head is everything before the first statement. */
static void make_plain(const char *at, const char *end, struct plain *plain)
{
    const char *key = NULL;
    size_t key_size = 0; /* its newline included */
    while (at < end && (*at == '\n' || begins(at, end, "--") ||
                        (key == NULL && begins(at, end, restrict_word)))) {
        const char *next = next_line(at, end);
        if (begins(at, end, restrict_word)) {
            key = at + strlen(restrict_word);
            key_size = (size_t)(next - key);
            plain->above = plain->text.bytes.size;
            next = skip_empty(next, end);
        } else if (begins(at, end, "-- Dumped from ") || begins(at, end, "-- Dumped by ")) {
            next = skip_empty(next, end);
        } else {
            text_put_bytes(&plain->text, at, (size_t)(next - at));
        }
        at = next;
    }
    const char *tail = key != NULL ? find_unrestrict(at, end, key, key_size) : NULL;
    plain->restricted = tail != NULL;
    if (tail != NULL) {
        text_put_bytes(&plain->text, at, (size_t)(tail - at));
        plain->below = plain->text.bytes.size;
        at = skip_empty(next_line(tail, end), end);
    }
    text_put_bytes(&plain->text, at, (size_t)(end - at));
}

static void put_restricted(const struct plain *plain, const char *key, struct text *out)
{
    const struct buffer *text = &plain->text.bytes;
    text_put_bytes(out, text->data, plain->above);
    text_printf(out, "%s%s\n\n", restrict_word, key);
    text_put_bytes(out, text->data + plain->above, plain->below - plain->above);
    text_printf(out, "%s%s\n\n", unrestrict_word, key);
    text_put_bytes(out, text->data + plain->below, text->size - plain->below);
}

/* The plain text, between \restrict lines of our own if it had any. */
static int put_plain(const struct plain *plain, const uint8_t secret[KEYED_HASH_KEY],
                     struct text *out)
{
    const struct buffer *text = &plain->text.bytes;
    char key[KEYED_HASH_TEXT];
    int rc = plain->text.failed;
    if (rc == 0 && plain->restricted)
        rc = keyed_hash_text(secret, text->data + plain->above, text->size - plain->above, key);
    if (rc == 0 && plain->restricted)
        put_restricted(plain, key, out);
    else if (rc == 0)
        text_put_bytes(out, text->data, text->size);
    return rc == 0 ? out->failed : rc;
}

int ddl_text(const struct buffer *dump, const uint8_t secret[KEYED_HASH_KEY], struct buffer *out)
{
    const char *bytes = (const char *)dump->data;
    struct plain plain = {0};
    struct text text = {.bytes = *out};
    size_t before = out->size;
    make_plain(bytes, bytes + dump->size, &plain);
    int rc = put_plain(&plain, secret, &text);
    *out = text.bytes;
    if (rc != 0)
        out->size = before;
    text_clear(&plain.text);
    return rc;
}

bool ddl_text_replaces(const struct buffer *old, const struct buffer *fresh)
{
    const char *bytes = (const char *)fresh->data;
    struct plain plain = {0};
    if (old->size == 0 || memchr(old->data, '\\', old->size) != NULL)
        return false;
    make_plain(bytes, bytes + fresh->size, &plain);
    const struct buffer *text = &plain.text.bytes;
    bool same = plain.text.failed == 0 && plain.restricted && text->size == old->size &&
                memcmp(text->data, old->data, old->size) == 0;
    text_clear(&plain.text);
    return same;
}
