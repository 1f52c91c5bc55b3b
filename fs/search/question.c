#include "fs/search/question.h"

#include "fs/base/shared_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { COLUMN, METRIC, K, RECALL, EF_SEARCH, FILTER, MODE, COLUMNS, VECTOR, KEY };
const char *const question_fields[QUESTION_FIELDS] = {
    "column", "metric", "k", "recall", "ef_search", "filter", "mode", "columns", "vector"};
static const char *const mode_names[] = {"auto", "exact", "hnsw", "server"};
enum { MODES = sizeof mode_names / sizeof *mode_names };

int question_init(struct question *question)
{
    *question = (struct question){.metric = -1, .k = 10, .recall = 0.95, .mode = MODE_AUTO};
    return 0;
}

void question_clear(struct question *question)
{
    shared_text_unref(question->column);
    shared_text_unref(question->filter);
    shared_text_unref(question->columns);
    shared_text_unref((char *)question->vector.data);
    free(question->key);
}

bool question_asks_server(const struct question *question)
{
    return question->filter != NULL || question->mode == MODE_SERVER;
}

int question_copy(const struct question *from, struct question *out)
{
    struct question copy = *from;
    if (from->key != NULL && (copy.key = strdup(from->key)) == NULL)
        return -ENOMEM;
    shared_text_ref(copy.column);
    shared_text_ref(copy.filter);
    shared_text_ref(copy.columns);
    shared_text_ref((char *)copy.vector.data);
    *out = copy;
    return 0;
}

/* ---- the values ---- */

static int check_text(const char *bytes, size_t size, const char *what, struct error *error)
{
    if (memchr(bytes, '\0', size) != NULL)
        return error_set(error, -EINVAL, "%s holds a zero byte", what);
    if (size > QUESTION_TEXT_MOST)
        return error_set(error, -EFBIG, "%s is longer than %d MiB", what, QUESTION_TEXT_MOST >> 20);
    return 0;
}

/* Replaces the shared text; NULL where there is nothing. */
static int set_text(char **text, const char *bytes, size_t size, const char *what,
                    struct error *error)
{
    int rc = check_text(bytes, size, what, error);
    if (rc < 0)
        return rc;
    char *copy = size > 0 ? shared_text_new(bytes, size) : NULL;
    if (size > 0 && copy == NULL)
        return error_set(error, -ENOMEM, "no memory");
    shared_text_unref(*text);
    *text = copy;
    return 0;
}

/* `there`: it may be the empty text. */
static int set_key(struct question *question, const char *bytes, size_t size, bool there,
                   struct error *error)
{
    int rc = check_text(bytes, size, "key", error);
    if (rc < 0)
        return rc;
    char *copy = there ? strndup(bytes, size) : NULL;
    if (there && copy == NULL)
        return error_set(error, -ENOMEM, "no memory");
    free(question->key);
    question->key = copy;
    return 0;
}

static bool is_blank(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isspace((unsigned char)bytes[i]))
            return false;
    return true;
}

/* A whole number in plain digits. */
static bool parse_number(const char *bytes, size_t size, uint32_t most, uint32_t *out)
{
    uint64_t number = 0;
    if (size == 0 || size > 10)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!isdigit((unsigned char)bytes[i]))
            return false;
        number = number * 10 + (uint64_t)(bytes[i] - '0');
    }
    *out = (uint32_t)number;
    return number <= most;
}

static int set_k(struct question *question, const char *bytes, size_t size, struct error *error)
{
    uint32_t k = 10;
    if (size > 0 && (!parse_number(bytes, size, QUESTION_K_MOST, &k) || k == 0))
        return error_set(error, -EINVAL, "k is how many rows are wanted, 1 to %d", QUESTION_K_MOST);
    question->k = k;
    return 0;
}

static int set_ef(struct question *question, const char *bytes, size_t size, struct error *error)
{
    uint32_t ef = 0;
    if (size > 0 && !parse_number(bytes, size, QUESTION_K_MOST, &ef))
        return error_set(error, -EINVAL,
                         "ef_search is how many candidates are kept on the way, 1 to %d; 0: as "
                         "many as the recall asked for needs",
                         QUESTION_K_MOST);
    question->ef = ef;
    return 0;
}

static int set_recall(struct question *question, const char *bytes, size_t size,
                      struct error *error)
{
    char text[32], *end = text;
    double recall = 0.95;
    if (size > 0) {
        snprintf(text, sizeof text, "%.*s", (int)(size < sizeof text ? size : 0), bytes);
        recall = strspn(text, "0123456789.eE+-") == size ? strtod(text, &end) : 0;
        if (end != text + size || !(recall > 0 && recall <= 1))
            return error_set(error, -EINVAL,
                             "recall is the share of the nearest rows to be found, above 0, at "
                             "most 1, such as 0.95");
    }
    question->recall = recall;
    return 0;
}

static int set_metric(struct question *question, const char *bytes, size_t size,
                      struct error *error)
{
    int metric = size > 0 ? metric_find(bytes, size) : -1;
    if (size > 0 && metric < 0)
        return error_set(error, -EINVAL,
                         "metric is one of l2, ip, cosine, l1, and for bits hamming, jaccard");
    question->metric = metric;
    return 0;
}

static int set_mode(struct question *question, const char *bytes, size_t size, struct error *error)
{
    int mode = size > 0 ? -1 : MODE_AUTO;
    for (int i = 0; size > 0 && i < MODES; i++)
        if (strlen(mode_names[i]) == size && memcmp(mode_names[i], bytes, size) == 0)
            mode = i;
    if (mode < 0)
        return error_set(error, -EINVAL, "mode is one of auto, exact, hnsw, server");
    question->mode = (enum answer_mode)mode;
    return 0;
}

/* ---- the vector ---- */

static bool is_text(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((bytes[i] < 0x20 || bytes[i] > 0x7E) && !isspace(bytes[i]))
            return false;
    return true;
}

/* How far the bytes are all among these. */
static const char *skip(const char *at, const char *end, const char *these)
{
    bool among[256] = {false};
    for (; *these != '\0'; these++)
        among[(unsigned char)*these] = true;
    while (at < end && among[(unsigned char)*at])
        at++;
    return at;
}

/* Only roughly: of which type the column is, is not known here. */
static bool is_vector_text(const char *at, const char *end)
{
    static const char blanks[] = " \t\r\v\f", numbers[] = "0123456789.eE+-, \t",
                      pairs[] = "0123456789.eE+-,: \t", digits[] = "0123456789";
    at = skip(at, end, blanks);
    if (at < end && *at == '[') {
        at = skip(at + 1, end, numbers);
        if (at == end || *at++ != ']')
            return false;
    } else if (at < end && *at == '{') {
        at = skip(at + 1, end, pairs);
        if (end - at < 3 || at[0] != '}' || at[1] != '/')
            return false;
        at = skip(at + 2, end, digits);
    } else {
        at = skip(at, end, "01");
    }
    return skip(at, end, blanks) == end;
}

static int keep_vector(struct question *question, const uint8_t *bytes, size_t size, bool batch,
                       struct error *error)
{
    char *copy = size > 0 ? shared_text_new(bytes, size) : NULL;
    if (size > 0 && copy == NULL)
        return error_set(error, -ENOMEM, "no memory");
    shared_text_unref((char *)question->vector.data);
    question->vector = (struct buffer){.data = (uint8_t *)copy, .size = size};
    question->batch = batch;
    return 0;
}

static int set_vector(struct question *question, const uint8_t *bytes, size_t size,
                      struct error *error)
{
    const char *at = (const char *)bytes, *end = at + size;
    bool npy = size >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0;
    bool text = is_text(bytes, size);
    for (size_t line = 1; text && at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        if (!is_vector_text(at, stop))
            return error_set(error, -EINVAL,
                             "vector, line %zu: it is written as [0.1,-2], a sparse one as "
                             "{1:0.5,7:-1}/300, bits as 0101, one vector a line; or it is the "
                             "bytes of float32 or of a .npy file",
                             line);
        at = stop < end ? stop + 1 : end;
    }
    if (!text && !npy && size % sizeof(float) != 0)
        return error_set(error, -EINVAL,
                         "vector: these are bytes, not text, but not a whole number of float32 "
                         "(%zu bytes)",
                         size);
    size = text && is_blank((const char *)bytes, size) ? 0 : size;
    return keep_vector(question, bytes, size, false, error);
}

int question_set(struct question *question, int field, const void *bytes, size_t size,
                 struct error *error)
{
    const char *text = size > 0 ? bytes : "";
    if (field == VECTOR)
        return set_vector(question, (const uint8_t *)text, size, error);
    if (size > 0 && text[size - 1] == '\n')
        size--;
    if (size > 0 && text[size - 1] == '\r')
        size--;
    switch (field) {
    case COLUMN:
        return set_text(&question->column, text, size, "column", error);
    case METRIC:
        return set_metric(question, text, size, error);
    case K:
        return set_k(question, text, size, error);
    case RECALL:
        return set_recall(question, text, size, error);
    case EF_SEARCH:
        return set_ef(question, text, size, error);
    case FILTER:
        return set_text(&question->filter, text, is_blank(text, size) ? 0 : size, "filter", error);
    case MODE:
        return set_mode(question, text, size, error);
    case COLUMNS:
        return set_text(&question->columns, text, is_blank(text, size) ? 0 : size, "columns",
                        error);
    default:
        return error_set(error, -EINVAL, "there is no such value");
    }
}

char *question_text(const struct question *question, int field)
{
    return field == COLUMN    ? question->column
           : field == FILTER  ? question->filter
           : field == COLUMNS ? question->columns
           : field == VECTOR  ? (char *)question->vector.data
                              : NULL;
}

bool question_is_line(int field) { return field != VECTOR; }

int question_show(const struct question *question, int field, struct buffer *out)
{
    switch (field) {
    case COLUMN:
        return buffer_printf(out, "%s\n", question->column != NULL ? question->column : "");
    case METRIC:
        return buffer_printf(
            out, "%s\n", question->metric >= 0 ? metric_name((enum metric)question->metric) : "");
    case K:
        return buffer_printf(out, "%u\n", question->k);
    case RECALL:
        return buffer_printf(out, "%.10g\n", question->recall);
    case EF_SEARCH:
        return buffer_printf(out, "%u\n", question->ef);
    case FILTER:
        return buffer_printf(out, "%s\n", question->filter != NULL ? question->filter : "");
    case MODE:
        return buffer_printf(out, "%s\n", mode_names[question->mode]);
    case COLUMNS:
        return buffer_printf(out, "%s\n", question->columns != NULL ? question->columns : "");
    default:
        return buffer_append(out, question->vector.data, question->vector.size);
    }
}

/* ---- a line of JSON ---- */

/* Where the reader is; `bad` once something is not JSON. */
struct json {
    const char *at, *end;
    const char *start;
    const char *bad; /* what was expected there */
};

static void json_blanks(struct json *in) { in->at = skip(in->at, in->end, " \t\r\n"); }

/* Whether the next character is this one, which is then passed. */
static bool json_take(struct json *in, char c)
{
    json_blanks(in);
    if (in->bad != NULL || in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static int json_fail(struct json *in, const char *expected)
{
    if (in->bad == NULL)
        in->bad = expected;
    return -EINVAL;
}

/* The four digits behind \u; -1: there are none. */
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

static int put_utf8(struct buffer *out, uint32_t c)
{
    uint8_t bytes[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        bytes[i] = 0x80 | (c & 0x3F);
    bytes[0] = (uint8_t)(n == 1 ? c : (0xF00U >> n & 0xFF) | c);
    return buffer_append(out, bytes, n);
}

static int json_escape(struct json *in, struct buffer *out)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char c = in->at < in->end ? *in->at++ : '\0';
    const char *simple = c != '\0' ? strchr(names, c) : NULL;
    if (simple != NULL)
        return buffer_append_byte(out, (uint8_t)meant[simple - names]);
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
    return code <= 0 ? json_fail(in, "an escape that names a character")
                     : put_utf8(out, (uint32_t)code);
}

/* A string behind its first quote. */
static int json_text(struct json *in, struct buffer *out)
{
    for (;;) {
        const char *from = in->at;
        while (in->at < in->end && *in->at != '"' && *in->at != '\\')
            in->at++;
        int rc = buffer_append(out, from, (size_t)(in->at - from));
        if (rc < 0 || in->at == in->end)
            return rc < 0 ? rc : json_fail(in, "the end of a string");
        if (*in->at++ == '"')
            return 0;
        rc = json_escape(in, out);
        if (rc < 0)
            return rc;
    }
}

/* A number or a word, as it stands there; null is nothing. */
static int json_word(struct json *in, struct buffer *out)
{
    const char *from = in->at;
    while (in->at < in->end && (isalnum((unsigned char)*in->at) || strchr("+-.", *in->at) != NULL))
        in->at++;
    size_t size = (size_t)(in->at - from);
    if (size == 0)
        return json_fail(in, "a value");
    return size == 4 && memcmp(from, "null", 4) == 0 ? 0 : buffer_append(out, from, size);
}

/* An array of numbers, which is pgvector's text as it stands. */
static int json_numbers(struct json *in, struct buffer *out)
{
    const char *stop = memchr(in->at, ']', (size_t)(in->end - in->at));
    if (!json_take(in, '[') || stop == NULL)
        return json_fail(in, "an array of numbers");
    const char *from = in->at - 1;
    in->at = stop + 1;
    return buffer_append(out, from, (size_t)(in->at - from));
}

/* As many indices as values, both arrays, as pairs. */
static int json_pairs(struct json *in, const struct buffer *indices, const struct buffer *values,
                      struct buffer *out)
{
    static const char expected[] = "as many indices as values";
    const char *index = (char *)indices->data, *value = (char *)values->data;
    if (index == NULL || value == NULL)
        return json_fail(in, "dim, indices or values");
    index += 1 + strspn(index + 1, " ");
    value += 1 + strspn(value + 1, " ");
    int rc = 0;
    for (bool more = *index != ']' || *value != ']'; rc == 0 && more;) {
        size_t n = strcspn(index, ",]"), m = strcspn(value, ",]");
        if (n == 0 || m == 0 || index[n] != value[m])
            return json_fail(in, expected);
        more = index[n] == ',';
        rc = buffer_printf(out, "%.*s:%.*s%s", (int)n, index, (int)m, value, more ? "," : "");
        index += n + 1;
        value += m + 1;
    }
    return rc;
}

/* A sparse vector as .jsonl has it, {"dim":5,"indices":[1,3],"values":[1.5,-2]}, into its text. */
static int json_sparse(struct json *in, struct buffer *out)
{
    struct buffer part[3] = {{0}}, name = {0};
    static const char *const names[] = {"dim", "indices", "values"};
    int rc = json_take(in, '{') ? 0 : json_fail(in, "a vector");
    for (bool more = true; rc == 0 && more; more = json_take(in, ',')) {
        name.size = 0;
        rc = json_take(in, '"') ? json_text(in, &name) : json_fail(in, "dim, indices or values");
        int which = 0;
        while (
            rc == 0 && which < 3 &&
            (strlen(names[which]) != name.size || memcmp(names[which], name.data, name.size) != 0))
            which++;
        if (rc == 0 && (which == 3 || part[which].size > 0 || !json_take(in, ':')))
            rc = json_fail(in, "dim, indices or values");
        if (rc == 0) {
            json_blanks(in);
            rc = which == 0 ? json_word(in, &part[0]) : json_numbers(in, &part[which]);
        }
    }
    if (rc == 0 && !json_take(in, '}'))
        rc = json_fail(in, "a closing brace");
    if (rc == 0)
        rc = buffer_append_byte(out, '{');
    if (rc == 0)
        rc = json_pairs(in, &part[1], &part[2], out);
    if (rc == 0)
        rc = buffer_append_text(out, "}/");
    if (rc == 0)
        rc = buffer_append(out, part[0].data, part[0].size);
    for (int i = 0; i < 3; i++)
        buffer_clear(&part[i]);
    buffer_clear(&name);
    return rc;
}

/* One vector, into its text. */
static int json_vector(struct json *in, struct buffer *out)
{
    json_blanks(in);
    if (in->at < in->end && *in->at == '[')
        return json_numbers(in, out);
    if (in->at < in->end && *in->at == '{')
        return json_sparse(in, out);
    return json_take(in, '"') ? json_text(in, out) : json_word(in, out);
}

/* A vector, or an array of them: one a line. */
static int json_vectors(struct json *in, struct buffer *out, bool *batch)
{
    struct json ahead = *in;
    *batch = json_take(&ahead, '[');
    json_blanks(&ahead);
    if (!*batch || ahead.at == ahead.end || strchr("[{\"", *ahead.at) == NULL) {
        *batch = false;
        return json_vector(in, out);
    }
    *in = ahead;
    int rc = 0;
    do {
        rc = json_vector(in, out);
        if (rc == 0)
            rc = buffer_append_byte(out, '\n');
    } while (rc == 0 && json_take(in, ','));
    return rc < 0 || json_take(in, ']') ? rc : json_fail(in, "a closing bracket");
}

/* An array of names, as SQL would list them. */
static int json_names(struct json *in, struct buffer *out)
{
    struct buffer name = {0};
    bool empty = json_take(in, ']');
    int rc = 0;
    for (bool more = !empty; rc == 0 && more; more = json_take(in, ',')) {
        name.size = 0;
        rc = json_take(in, '"') ? json_text(in, &name) : json_fail(in, "a column's name");
        if (rc == 0)
            rc = buffer_append_text(out, out->size > 0 ? ",\"" : "\"");
        for (size_t i = 0; rc == 0 && i < name.size; i++) {
            rc = buffer_append_byte(out, name.data[i]);
            if (rc == 0 && name.data[i] == '"')
                rc = buffer_append_byte(out, '"');
        }
        if (rc == 0)
            rc = buffer_append_byte(out, '"');
    }
    buffer_clear(&name);
    return rc < 0 || empty || json_take(in, ']') ? rc : json_fail(in, "a closing bracket");
}

static int field_named(const struct buffer *name)
{
    static const char key[] = "key";
    for (int i = 0; i < QUESTION_FIELDS; i++)
        if (strlen(question_fields[i]) == name->size &&
            memcmp(question_fields[i], name->data, name->size) == 0)
            return i;
    return name->size == strlen(key) && memcmp(name->data, key, name->size) == 0 ? KEY : -1;
}

/* One `"name": value`. */
static int json_member(struct json *in, struct question *question, struct error *error)
{
    struct buffer text = {0};
    int rc = json_take(in, '"') ? json_text(in, &text) : json_fail(in, "a name in quotes");
    int field = rc == 0 ? field_named(&text) : -1;
    if (rc == 0 && field < 0)
        rc = error_set(error, -EINVAL,
                       "\"%.*s\" is none of column, metric, k, recall, ef_search, filter, mode, "
                       "columns, vector, key",
                       (int)(text.size < 60 ? text.size : 60), (char *)text.data);
    if (rc == 0 && !json_take(in, ':'))
        rc = json_fail(in, "a colon");
    text.size = 0;
    bool batch = false, quoted = false;
    if (rc == 0)
        rc = field == VECTOR                          ? json_vectors(in, &text, &batch)
             : field == COLUMNS && json_take(in, '[') ? json_names(in, &text)
             : (quoted = json_take(in, '"'))          ? json_text(in, &text)
                                                      : json_word(in, &text);
    const uint8_t *bytes = text.size > 0 ? text.data : (const uint8_t *)"";
    if (rc == 0 && field == VECTOR) /* its own parser looks at it later */
        rc = keep_vector(question, bytes, text.size, batch, error);
    else if (rc == 0 && field == KEY)
        rc = set_key(question, (const char *)bytes, text.size, quoted || text.size > 0, error);
    else if (rc == 0)
        rc = question_set(question, field, text.data, text.size, error);
    buffer_clear(&text);
    return rc;
}

int question_parse_json(const char *line, size_t size, struct question *out, struct error *error)
{
    struct json in = {.at = line, .end = line + size, .start = line};
    struct question question;
    int rc = question_init(&question);
    if (rc == 0 && !json_take(&in, '{'))
        rc = json_fail(&in, "an object, such as {\"vector\":[0.1,0.2],\"k\":5}");
    if (rc == 0 && !json_take(&in, '}')) {
        do
            rc = json_member(&in, &question, error);
        while (rc == 0 && json_take(&in, ','));
        if (rc == 0 && !json_take(&in, '}'))
            rc = json_fail(&in, "a comma or a closing brace");
    }
    json_blanks(&in);
    if (rc == 0 && in.at != in.end)
        rc = json_fail(&in, "the end of the line");
    if (in.bad != NULL && rc == -EINVAL)
        error_set(error, rc, "this is no line of JSON: at character %zu %s is missing",
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
