#include "fs/views/strips.h"

#include <errno.h>
#include <stdlib.h>

enum { SMALL_PART = 8 }; /* of a body: an eighth */

void strips_clear(struct strips *strips)
{
    free(strips->list);
    *strips = (struct strips){0};
}

static int add(struct strips *strips, int column, const struct format_strip *place)
{
    struct strip *list = realloc(strips->list, ((size_t)strips->count + 1) * sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    list[strips->count++] = (struct strip){column, *place};
    strips->list = list;
    return 0;
}

/* Adds what the range meets, as long as that is a small part of the body, of `whole` bytes. */
static int choose(const struct view *view, const struct format_strip *places, int count,
                  uint64_t whole, uint64_t offset, uint64_t size, struct strips *out)
{
    const struct columns *columns = view->rendition.columns;
    uint64_t met = 0;
    int rc = 0;
    for (int i = 0; rc == 0 && i < count; i++) {
        const struct format_strip *place = &places[i];
        if (place->size == 0 || place->offset + place->size <= offset ||
            place->offset >= offset + size)
            continue;
        met += place->size;
        rc = met > whole / SMALL_PART ? -ERANGE
                                      : add(out, columns != NULL ? columns->numbers[i] : i, place);
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
    struct format_strip *places = malloc(((size_t)schema->column_count + 1) * sizeof *places);
    const struct note note = {measure->note, measure->note_size};
    int rc = places == NULL ? -ENOMEM : format->strips(schema, &note, measure->size, places);
    if (rc == 0)
        rc = choose(view, places, schema->column_count, measure->size, offset, size, out);
    free(places);
    if (rc == 0)
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
    if (rc < 0 || body_bytes(*out)->size == strip->place.alone)
        return rc;
    rc = error_set(error, -EIO, "column %d of row group %zu came out as %zu bytes instead of %llu",
                   strip->column + 1, group, body_bytes(*out)->size,
                   (unsigned long long)strip->place.alone);
    body_release(cache, *out, 0);
    return rc;
}
