#include "fs/search/question_parts.h"

#include "fs/base/shared_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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

/* Replaces the shared text; sets NULL if there are no bytes. */
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

int question_set_key(struct question *question, const char *bytes, size_t size, bool there,
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

/* Reads a whole number in plain digits. */
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

bool question_is_text(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((bytes[i] < 0x20 || bytes[i] > 0x7E) && !isspace(bytes[i]))
            return false;
    return true;
}

const char *question_skip(const char *at, const char *end, const char *these)
{
    bool among[256] = {false};
    for (; *these != '\0'; these++)
        among[(unsigned char)*these] = true;
    while (at < end && among[(unsigned char)*at])
        at++;
    return at;
}

/* Whether it looks like a vector's text, roughly: the column's type is unknown here. */
static bool is_vector_text(const char *at, const char *end)
{
    static const char blanks[] = " \t\r\v\f", numbers[] = "0123456789.eE+-, \t",
                      pairs[] = "0123456789.eE+-,: \t", digits[] = "0123456789";
    at = question_skip(at, end, blanks);
    if (at < end && *at == '[') {
        at = question_skip(at + 1, end, numbers);
        if (at == end || *at++ != ']')
            return false;
    } else if (at < end && *at == '{') {
        at = question_skip(at + 1, end, pairs);
        if (end - at < 3 || at[0] != '}' || at[1] != '/')
            return false;
        at = question_skip(at + 2, end, digits);
    } else {
        at = question_skip(at, end, "01");
    }
    return question_skip(at, end, blanks) == end;
}

int question_keep_vector(struct question *question, const uint8_t *bytes, size_t size, bool batch,
                         struct error *error)
{
    char *copy = size > 0 ? shared_text_new(bytes, size) : NULL;
    if (size > 0 && copy == NULL)
        return error_set(error, -ENOMEM, "no memory");
    shared_text_unref((char *)question->vector.data);
    question->vector = (struct buffer){.data = (uint8_t *)copy, .size = size};
    question->lines = false;
    question->batch = batch;
    return 0;
}

static size_t lines_before(const char *bytes, const char *at)
{
    size_t lines = 0;
    for (; bytes < at; bytes++)
        lines += *bytes == '\n';
    return lines;
}

/* Looks at the lines from `at` on, where one begins. */
static int check_lines(const char *bytes, const char *at, const char *end, struct error *error)
{
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        if (!is_vector_text(at, stop))
            return error_set(error, -EINVAL,
                             "vector, line %zu: it is written as [0.1,-2], a sparse one as "
                             "{1:0.5,7:-1}/300, bits as 0101, one vector a line; or it is the "
                             "bytes of float32 or of a .npy file",
                             lines_before(bytes, at) + 1);
        at = stop < end ? stop + 1 : end;
    }
    return 0;
}

static int set_vector(struct question *question, const uint8_t *bytes, size_t size,
                      struct error *error)
{
    bool npy = size >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0;
    bool text = question_is_text(bytes, size);
    const char *begin = (const char *)bytes;
    int rc = text ? check_lines(begin, begin, begin + size, error) : 0;
    if (rc < 0)
        return rc;
    if (!text && !npy && size % sizeof(float) != 0)
        return error_set(error, -EINVAL,
                         "vector: these are bytes, not text, but not a whole number of float32 "
                         "(%zu bytes)",
                         size);
    size = text && is_blank((const char *)bytes, size) ? 0 : size;
    rc = question_keep_vector(question, bytes, size, false, error);
    if (rc == 0)
        question->lines = text && size > 0;
    return rc;
}

int question_extend_vector(struct question *question, const void *bytes, size_t size,
                           struct error *error)
{
    char *text = (char *)question->vector.data;
    size_t before = question->vector.size, from = before;
    if (!question_is_text(bytes, size))
        return 1;
    while (from > 0 && text[from - 1] != '\n')
        from--;
    if (shared_text_append(&text, before, bytes, size) < 0)
        return error_set(error, -ENOMEM, "no memory");
    question->vector.data = (uint8_t *)text;
    int rc = check_lines(text, text + from, text + before + size, error);
    question->vector.size += rc == 0 ? size : 0;
    return rc;
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

char *question_text(const struct question *question, int field, size_t *size)
{
    char *text = field == COLUMN    ? question->column
                 : field == FILTER  ? question->filter
                 : field == COLUMNS ? question->columns
                                    : NULL;
    *size = field == VECTOR ? question->vector.size : shared_text_size(text);
    return field == VECTOR ? (char *)question->vector.data : text;
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
