#include "fs/views/strips.h"

#include <errno.h>
#include <stdlib.h>

enum { SMALL_PART = 8 }; /* of a body: an eighth */

void strips_clear(struct strips *strips)
{
    free(strips->list);
    *strips = (struct strips){0};
}

static int add(struct strips *strips, int column, uint64_t offset, uint64_t size)
{
    struct strip *list = realloc(strips->list, ((size_t)strips->count + 1) * sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    list[strips->count++] = (struct strip){column, offset, size};
    strips->list = list;
    return 0;
}

/* Whether the strips are the whole body: else a range might lie beyond the last one. */
static bool are_whole(const uint64_t *sizes, int count, uint64_t whole)
{
    uint64_t sum = 0;
    for (int i = 0; i < count && sum <= whole; i++)
        sum = sizes[i] <= whole ? sum + sizes[i] : UINT64_MAX;
    return sum == whole;
}

/* Adds what the range meets, as long as that is a small part of the body. */
static int choose(const struct view *view, const uint64_t *sizes, int count, uint64_t whole,
                  uint64_t offset, uint64_t size, struct strips *out)
{
    const struct columns *columns = view->rendition.columns;
    uint64_t at = 0, met = 0;
    int rc = 0;
    for (int i = 0; rc == 0 && i < count && at < offset + size; at += sizes[i++]) {
        if (sizes[i] == 0 || at + sizes[i] <= offset)
            continue;
        met += sizes[i];
        rc = met > whole / SMALL_PART
                 ? -ERANGE
                 : add(out, columns != NULL ? columns->numbers[i] : i, at, sizes[i]);
    }
    return rc;
}

int strips_of(const struct view *view, size_t group, uint64_t offset, uint64_t size,
              struct strips *out)
{
    const struct format *format = view->rendition.format;
    const struct schema *schema = view_schema(view);
    *out = (struct strips){0};
    const struct measure *measure =
        format->strips != NULL
            ? measures_find(&view->snapshot->groups[group]->measures, &view->rendition)
            : NULL;
    if (measure == NULL || size > measure->size / SMALL_PART)
        return 0;
    uint64_t *sizes = malloc(((size_t)schema->column_count + 1) * sizeof *sizes);
    const struct note note = {measure->note, measure->note_size};
    int rc = sizes == NULL ? -ENOMEM : format->strips(schema, &note, sizes);
    if (rc == 0 && are_whole(sizes, schema->column_count, measure->size))
        rc = choose(view, sizes, schema->column_count, measure->size, offset, size, out);
    free(sizes);
    if (rc == 0 && out->count > 0)
        return 1;
    strips_clear(out); /* the whole body does as well */
    return 0;
}

int strip_get(struct body_cache *cache, const struct view *view, size_t group,
              const struct strip *strip, bool patient, struct body **out, struct error *error)
{
    struct view alone = *view;
    struct face *face;
    int rc = columns_new(&strip->column, 1, &alone.rendition.columns);
    if (rc < 0)
        return error_set(error, rc, "out of memory");
    if (view_make_face(&alone, &face) < 0)
        rc = error_set(error, -ENOMEM, "out of memory");
    else
        rc = patient ? body_get(cache, &alone, group, out, error)
                     : body_try(cache, &alone, group, out);
    columns_unref(alone.rendition.columns);
    if (rc < 0 || body_bytes(*out)->size == strip->size)
        return rc;
    rc = error_set(error, -EIO, "column %d of row group %zu came out as %zu bytes instead of %llu",
                   strip->column + 1, group, body_bytes(*out)->size,
                   (unsigned long long)strip->size);
    body_release(cache, *out, 0);
    return rc;
}
