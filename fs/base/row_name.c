#include "fs/base/row_name.h"

#include "fs/base/name.h"

#include <errno.h>
#include <stdlib.h>

#define IN_ONE "="
#define IN_SEVERAL "=,"

/* Decodes a part of the name, which may be empty. -ENOENT: it is written in another way than ours. */
static int read_part(const char *text, size_t size, bool first, const char *also, char **out)
{
    struct buffer again = {0};
    char *sql = malloc(size + 1);
    int rc = sql == NULL ? -ENOMEM : name_unescape(text, size, sql) ? 0 : -ENOENT;
    if (rc == 0)
        rc = name_encode_part(sql, first, also, &again);
    if (rc == 0 && (again.size != size || (size > 0 && memcmp(again.data, text, size) != 0)))
        rc = -ENOENT;
    buffer_clear(&again);
    if (rc < 0)
        free(sql);
    else
        *out = sql;
    return rc;
}

static int read_values(const char *text, size_t size, struct row_name *out)
{
    const char *end = text + size;
    int rc = 0;
    for (const char *at = text; rc == 0 && at != NULL;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t n = (size_t)((comma != NULL ? comma : end) - at);
        if (out->count == ROW_NAME_VALUES)
            return -ENOENT;
        rc = read_part(at, n, at == text, IN_SEVERAL, &out->values[out->count]);
        out->count += rc == 0;
        at = comma != NULL ? comma + 1 : NULL;
    }
    return rc;
}

static void forget_values(struct row_name *name)
{
    while (name->count > 0)
        free(name->values[--name->count]);
}

static int read_key(const char *text, size_t size, struct row_name *out)
{
    int rc = read_part(text, size, true, IN_ONE, &out->whole);
    bool one = rc == 0;
    if (rc == 0 || rc == -ENOENT)
        rc = read_values(text, size, out);
    if (rc == -ENOENT)
        forget_values(out);
    return rc == -ENOENT && one ? 0 : rc;
}

int row_name_read(const char *text, size_t size, struct row_name *out)
{
    const char *equals = memchr(text, '=', size);
    struct row_name name = {0};
    int rc;
    if (equals == NULL) {
        rc = read_key(text, size, &name);
    } else if (equals == text) {
        rc = -ENOENT;
    } else {
        rc = read_part(text, (size_t)(equals - text), true, IN_ONE, &name.column);
        if (rc == 0)
            rc = read_part(equals + 1, size - (size_t)(equals + 1 - text), false, IN_ONE,
                           &name.whole);
    }
    if (rc < 0)
        row_name_clear(&name);
    else
        *out = name;
    return rc;
}

void row_name_clear(struct row_name *name)
{
    forget_values(name);
    free(name->column);
    free(name->whole);
    *name = (struct row_name){0};
}

int row_name_write(const char *const *values, int count, struct buffer *out)
{
    size_t before = out->size;
    int rc = 0;
    for (int i = 0; rc == 0 && i < count; i++) {
        rc = i > 0 ? buffer_append_byte(out, ',') : 0;
        if (rc == 0)
            rc = name_encode_part(values[i], i == 0, count > 1 ? IN_SEVERAL : IN_ONE, out);
    }
    if (rc < 0)
        out->size = before;
    return rc;
}
