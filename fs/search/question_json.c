/* A line of JSON as a question. */
#include "codec/text.h"
#include "fs/search/question_parts.h"

#include <ctype.h>
#include <errno.h>

/* The reader's place. The first thing that is not JSON sets `bad`: then nothing more is read. */
struct json {
    const char *at, *end;
    const char *start;
    const char *bad; /* what was expected instead */
};

static void json_blanks(struct json *in) { in->at = question_skip(in->at, in->end, " \t\r\n"); }

static void json_fail(struct json *in, const char *expected)
{
    if (in->bad == NULL)
        in->bad = expected;
}

/* Whether the next character is this one; if so, passes it. */
static bool json_take(struct json *in, char c)
{
    json_blanks(in);
    if (in->bad != NULL || in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static void json_expect(struct json *in, char c, const char *name)
{
    if (!json_take(in, c))
        json_fail(in, name);
}

/* The outcome of reading a text. */
static int outcome(const struct json *in, const struct text *text)
{
    return text->failed != 0 ? text->failed : in->bad != NULL ? -EINVAL : 0;
}

/* ---- strings ---- */

/* Reads the four digits behind \u; -1: there are none. */
static int json_code(struct json *in)
{
    int code = 0;
    if (in->end - in->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = in->at[i];
        if (!isxdigit((unsigned char)c))
            return -1;
        code = code * 16 + (isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    in->at += 4;
    return code;
}

static void put_utf8(struct text *out, uint32_t c)
{
    uint8_t bytes[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        bytes[i] = 0x80 | (c & 0x3F);
    bytes[0] = (uint8_t)(n == 1 ? c : (0xF00U >> n & 0xFF) | c);
    text_put_bytes(out, bytes, n);
}

static void json_escape(struct json *in, struct text *out)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char c = in->at < in->end ? *in->at++ : '\0';
    const char *simple = c != '\0' ? strchr(names, c) : NULL;
    if (simple != NULL) {
        text_put_byte(out, meant[simple - names]);
        return;
    }
    int code = c == 'u' ? json_code(in) : -1;
    if (code >= 0xD800 && code < 0xDC00) {
        bool pair = in->end - in->at >= 2 && in->at[0] == '\\' && in->at[1] == 'u';
        in->at += pair ? 2 : 0;
        int low = pair ? json_code(in) : -1;
        code =
            low >= 0xDC00 && low < 0xE000 ? 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00) : -1;
    } else if (code >= 0xDC00 && code < 0xE000) {
        code = -1;
    }
    if (code <= 0)
        json_fail(in, "an escape that names a character");
    else
        put_utf8(out, (uint32_t)code);
}

/* Reads a string, behind its first quote. */
static void json_text(struct json *in, struct text *out)
{
    while (in->bad == NULL) {
        const char *from = in->at;
        while (in->at < in->end && *in->at != '"' && *in->at != '\\')
            in->at++;
        text_put_bytes(out, from, (size_t)(in->at - from));
        if (in->at == in->end)
            json_fail(in, "the end of a string");
        else if (*in->at++ == '"')
            return;
        else
            json_escape(in, out);
    }
}

static void json_string(struct json *in, const char *name, struct text *out)
{
    json_expect(in, '"', name);
    json_text(in, out);
}

static bool text_is(const struct text *text, const char *word)
{
    return text->bytes.size == strlen(word) &&
           (text->bytes.size == 0 || memcmp(text->bytes.data, word, text->bytes.size) == 0);
}

/* ---- numbers ---- */

/* Reads a number or a word, as it is written; null gives nothing. */
static void json_word(struct json *in, struct text *out)
{
    const char *from = in->at;
    if (in->bad != NULL)
        return;
    while (in->at < in->end && (isalnum((unsigned char)*in->at) || strchr("+-.", *in->at) != NULL))
        in->at++;
    size_t size = (size_t)(in->at - from);
    if (size == 0)
        json_fail(in, "a value");
    else if (size != 4 || memcmp(from, "null", 4) != 0)
        text_put_bytes(out, from, size);
}

static bool json_digits(struct json *in)
{
    const char *from = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
        in->at++;
    return in->at > from;
}

static bool json_passes(struct json *in, const char *any)
{
    bool passes = in->at < in->end && *in->at != '\0' && strchr(any, *in->at) != NULL;
    in->at += passes;
    return passes;
}

/* Passes a number as JSON has it: no +, no 0 in front, a digit on each side of the point. */
static void json_number(struct json *in)
{
    (void)json_passes(in, "-");
    bool good = json_passes(in, "0") || json_digits(in);
    if (good && json_passes(in, "."))
        good = json_digits(in);
    if (good && json_passes(in, "eE")) {
        (void)json_passes(in, "+-");
        good = json_digits(in);
    }
    if (!good)
        json_fail(in, "a number");
}

/* Reads an array of numbers, which is pgvector's text as it is written. */
static void json_numbers(struct json *in, struct text *out)
{
    json_blanks(in);
    const char *from = in->at;
    bool more = json_take(in, '[') && !json_take(in, ']'), closed = in->at > from && !more;
    while (more && in->bad == NULL) {
        json_blanks(in);
        json_number(in);
        more = json_take(in, ',');
        closed = !more && json_take(in, ']');
    }
    if (!closed)
        json_fail(in, "an array of numbers");
    else
        text_put_bytes(out, from, (size_t)(in->at - from));
}

/* ---- vectors ---- */

enum { DIM, INDICES, VALUES, SPARSE_PARTS };
static const char *const sparse_parts[SPARSE_PARTS] = {"dim", "indices", "values"};
static const char sparse_expected[] = "dim, indices or values";

/* Writes indices and values, two arrays of equal length, as pairs. */
static void json_pairs(struct json *in, const struct buffer *indices, const struct buffer *values,
                       struct text *out)
{
    const char *index = (char *)indices->data, *value = (char *)values->data;
    if (index == NULL || value == NULL) {
        json_fail(in, sparse_expected);
        return;
    }
    index += 1 + strspn(index + 1, " ");
    value += 1 + strspn(value + 1, " ");
    for (bool more = *index != ']' || *value != ']'; more;) {
        size_t n = strcspn(index, ",]"), m = strcspn(value, ",]");
        if (n == 0 || m == 0 || index[n] != value[m]) {
            json_fail(in, "as many indices as values");
            return;
        }
        more = index[n] == ',';
        text_printf(out, "%.*s:%.*s%s", (int)n, index, (int)m, value, more ? "," : "");
        index += n + 1;
        value += m + 1;
    }
}

/* Reads one of the parts, each of which occurs once. */
static void json_sparse_part(struct json *in, struct text parts[SPARSE_PARTS])
{
    struct text name = {0};
    int which = 0;
    json_string(in, sparse_expected, &name);
    while (which < SPARSE_PARTS && !text_is(&name, sparse_parts[which]))
        which++;
    if (which == SPARSE_PARTS || parts[which].bytes.size > 0)
        json_fail(in, sparse_expected);
    json_expect(in, ':', sparse_expected);
    json_blanks(in);
    if (which == DIM)
        json_word(in, &parts[DIM]);
    else if (which < SPARSE_PARTS)
        json_numbers(in, &parts[which]);
    text_fail(&parts[DIM], name.failed);
    text_clear(&name);
}

/* Reads a sparse vector as .jsonl has it, {"dim":5,"indices":[1,3],"values":[1.5,-2]}, and writes
 * its text. */
static void json_sparse(struct json *in, struct text *out)
{
    struct text parts[SPARSE_PARTS] = {0};
    json_expect(in, '{', "a vector");
    do
        json_sparse_part(in, parts);
    while (json_take(in, ','));
    json_expect(in, '}', "a closing brace");
    text_put_byte(out, '{');
    json_pairs(in, &parts[INDICES].bytes, &parts[VALUES].bytes, out);
    text_put(out, "}/");
    text_put_bytes(out, parts[DIM].bytes.data, parts[DIM].bytes.size);
    for (int i = 0; i < SPARSE_PARTS; i++) {
        text_fail(out, parts[i].failed);
        text_clear(&parts[i]);
    }
}

/* Reads one vector, and writes its text. */
static void json_vector(struct json *in, struct text *out)
{
    json_blanks(in);
    if (in->at < in->end && *in->at == '[')
        json_numbers(in, out);
    else if (in->at < in->end && *in->at == '{')
        json_sparse(in, out);
    else if (json_take(in, '"'))
        json_text(in, out);
    else
        json_word(in, out);
}

/* Whether what was written from `from` on is one line: an element that is none, or several, would
 * change the numbers of those behind it. Line breaks at its end do no harm. */
static int check_element(struct text *out, size_t from, size_t number, struct error *error)
{
    struct buffer *bytes = &out->bytes;
    while (bytes->size > from && isspace(bytes->data[bytes->size - 1]))
        bytes->size--;
    size_t size = bytes->size - from;
    const uint8_t *element = size > 0 ? bytes->data + from : NULL;
    const char *what = size == 0                             ? "empty"
                       : memchr(element, '\n', size) != NULL ? "text of several lines"
                       : !question_is_text(element, size)    ? "not printable"
                                                             : NULL;
    return what == NULL ? 0
                        : error_set(error, -EINVAL,
                                    "vector: element %zu of the array, counted from 0, is %s; "
                                    "each is to be one vector",
                                    number, what);
}

/* Reads a vector, or an array of them, and writes one in each line. */
static int json_vectors(struct json *in, struct text *out, bool *batch, struct error *error)
{
    struct json ahead = *in;
    *batch = json_take(&ahead, '[');
    json_blanks(&ahead);
    if (!*batch || ahead.at == ahead.end || strchr("[{\"", *ahead.at) == NULL) {
        *batch = false;
        json_vector(in, out);
        return 0;
    }
    *in = ahead;
    size_t number = 0;
    int rc = 0;
    do {
        size_t from = out->bytes.size;
        json_vector(in, out);
        if (outcome(in, out) == 0)
            rc = check_element(out, from, number++, error);
        text_put_byte(out, '\n');
    } while (rc == 0 && json_take(in, ','));
    if (rc == 0)
        json_expect(in, ']', "a closing bracket");
    return rc;
}

/* ---- the line ---- */

/* Reads an array of names, behind its bracket, and writes it as a list in SQL. */
static void json_names(struct json *in, struct text *out)
{
    if (json_take(in, ']'))
        return;
    do {
        struct text name = {0};
        json_string(in, "a column's name", &name);
        text_put(out, out->bytes.size > 0 ? ",\"" : "\"");
        for (size_t i = 0; i < name.bytes.size; i++) {
            text_put_byte(out, (char)name.bytes.data[i]);
            text_put(out, name.bytes.data[i] == '"' ? "\"" : "");
        }
        text_put_byte(out, '"');
        text_fail(out, name.failed);
        text_clear(&name);
    } while (json_take(in, ','));
    json_expect(in, ']', "a closing bracket");
}

static int field_named(const struct text *name)
{
    for (int i = 0; i < QUESTION_FIELDS; i++)
        if (text_is(name, question_fields[i]))
            return i;
    return text_is(name, "key") ? KEY : -1;
}

/* Reads a field's name. *field: which it is. */
static int json_field(struct json *in, int *field, struct error *error)
{
    struct text name = {0};
    json_string(in, "a name in quotes", &name);
    int rc = outcome(in, &name);
    *field = rc == 0 ? field_named(&name) : -1;
    if (rc == 0 && *field < 0)
        rc = error_set(error, -EINVAL,
                       "\"%.*s\" is none of column, metric, k, recall, ef_search, filter, mode, "
                       "columns, vector, key",
                       (int)(name.bytes.size < 60 ? name.bytes.size : 60), (char *)name.bytes.data);
    text_clear(&name);
    return rc;
}

/* Reads `: value`. */
static int json_value(struct json *in, int field, struct question *question, struct error *error)
{
    struct text text = {0};
    bool batch = false, quoted = false;
    int rc = 0;
    json_expect(in, ':', "a colon");
    if (field == VECTOR)
        rc = json_vectors(in, &text, &batch, error);
    else if (field == COLUMNS && json_take(in, '['))
        json_names(in, &text);
    else if ((quoted = json_take(in, '"')))
        json_text(in, &text);
    else
        json_word(in, &text);
    if (rc == 0)
        rc = outcome(in, &text);
    size_t size = text.bytes.size;
    const uint8_t *bytes = size > 0 ? text.bytes.data : (const uint8_t *)"";
    if (rc == 0)
        rc = field == VECTOR ? question_keep_vector(question, bytes, size, batch, error)
             : field == KEY
                 ? question_set_key(question, (const char *)bytes, size, quoted || size > 0, error)
                 : question_set(question, field, bytes, size, error);
    text_clear(&text);
    return rc;
}

static int json_members(struct json *in, struct question *question, struct error *error)
{
    int rc = 0;
    do {
        int field;
        rc = json_field(in, &field, error);
        if (rc == 0)
            rc = json_value(in, field, question, error);
    } while (rc == 0 && json_take(in, ','));
    if (rc == 0)
        json_expect(in, '}', "a comma or a closing brace");
    return rc;
}

int question_parse_json(const char *line, size_t size, struct question *out, struct error *error)
{
    struct json in = {.at = line, .end = line + size, .start = line};
    struct question question;
    int rc = question_init(&question);
    json_expect(&in, '{', "an object, such as {\"vector\":[0.1,0.2],\"k\":5}");
    if (in.bad == NULL && !json_take(&in, '}'))
        rc = json_members(&in, &question, error);
    json_blanks(&in);
    if (rc == 0 && in.at != in.end)
        json_fail(&in, "the end of the line");
    if (in.bad != NULL && rc != -ENOMEM)
        rc = error_set(error, -EINVAL, "this is no line of JSON: at character %zu %s is missing",
                       (size_t)(in.at - in.start) + 1, in.bad);
    else if (rc == 0 && question.key != NULL && question.vector.size > 0)
        rc = error_set(error, -EINVAL,
                       "`key` and `vector` are both there: a question has one of them");
    if (rc == -ENOMEM)
        error_set(error, rc, "no memory");
    if (rc < 0)
        question_clear(&question);
    else
        *out = question;
    return rc;
}
