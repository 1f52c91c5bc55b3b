#include "fs/views/strips.h"

#include <errno.h>
#include <stdlib.h>

enum { SMALL_PART = 8 }; /* of a body: an eighth */

void strips_clear(struct strips *strips)
{
    free(strips->list);
    *strips = (struct strips){0};
}

static int add(struct strips *strips, int column, bool whole, const struct format_strip *place)
{
    struct strip *list = realloc(strips->list, ((size_t)strips->count + 1) * sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    list[strips->count++] = (struct strip){column, whole, *place};
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
        rc = met > whole / SMALL_PART
                 ? -ERANGE
                 : add(out, columns != NULL ? columns->numbers[i] : i,
                       place->offset >= offset && place->offset + place->size <= offset + size,
                       place);
    }
    return rc;
}

/* The measure of a group's body; NULL: it has no strips. */
static const struct measure *measure_of(const struct view *view, size_t group)
{
    return view->rendition.format->strips != NULL
               ? measures_find(&view->snapshot->groups[group]->measures, &view->rendition)
               : NULL;
}

/* Gets the strips of all columns of the view's schema; free *out. */
static int list_places(const struct view *view, const struct measure *measure,
                       struct format_strip **out)
{
    const struct schema *schema = view_schema(view);
    struct format_strip *places = malloc(((size_t)schema->column_count + 1) * sizeof *places);
    const struct note note = {measure->note, measure->note_size};
    *out = places;
    return places == NULL ? -ENOMEM
                          : view->rendition.format->strips(schema, &note, measure->size, places);
}

int strips_of(const struct view *view, size_t group, uint64_t offset, uint64_t size,
              struct strips *out)
{
    *out = (struct strips){0};
    const struct measure *measure = measure_of(view, group);
    if (measure == NULL || size > measure->size / SMALL_PART)
        return 0;
    struct format_strip *places;
    int rc = list_places(view, measure, &places);
    if (rc == 0)
        rc =
            choose(view, places, view_schema(view)->column_count, measure->size, offset, size, out);
    free(places);
    if (rc == 0)
        return 1;
    strips_clear(out); /* the whole body does as well */
    return 0;
}

bool strip_alone(const struct view *view, size_t group, uint64_t offset, uint64_t size, int *column)
{
    struct strips strips;
    bool one = strips_of(view, group, offset, size, &strips) == 1 && strips.count == 1 &&
               strips.list[0].whole;
    if (one)
        *column = strips.list[0].column;
    strips_clear(&strips);
    return one;
}

int strip_place(const struct view *view, size_t group, int column, struct format_strip *out)
{
    const struct columns *columns = view->rendition.columns;
    const struct measure *measure = measure_of(view, group);
    struct format_strip *places = NULL;
    int rc = measure == NULL ? -ENOENT : list_places(view, measure, &places), at = column;
    for (int i = 0; rc == 0 && columns != NULL && i < columns->count; i++)
        if (columns->numbers[i] == column)
            at = i;
    if (rc == 0)
        *out = places[at];
    free(places);
    return rc;
}

/* The view of one column of the view; drop its columns. */
static int only(const struct view *view, int column, struct view *out, struct error *error)
{
    struct face *face;
    *out = *view;
    if (columns_new(&column, 1, &out->rendition.columns) < 0)
        return error_no_memory(error);
    if (view_make_face(out, &face) == 0)
        return 0;
    columns_unref(out->rendition.columns);
    return error_no_memory(error);
}

void strip_ahead(struct body_cache *cache, const struct view *view, size_t group, int column)
{
    struct view alone;
    if (only(view, column, &alone, NULL) < 0)
        return;
    body_ahead(cache, &alone, group);
    columns_unref(alone.rendition.columns);
}

int strip_get(struct body_cache *cache, const struct view *view, size_t group,
              const struct strip *strip, bool patient, struct body **out, struct error *error)
{
    struct view alone;
    int rc = only(view, strip->column, &alone, error);
    if (rc < 0)
        return rc;
    rc = patient ? body_get(cache, &alone, group, out, error) : body_try(cache, &alone, group, out);
    columns_unref(alone.rendition.columns);
    if (rc < 0 || body_bytes(*out)->size == strip->place.alone)
        return rc;
    rc = error_set(error, -EIO, "column %d of row group %zu came out as %zu bytes instead of %llu",
                   strip->column + 1, group, body_bytes(*out)->size,
                   (unsigned long long)strip->place.alone);
    body_release(cache, *out, 0);
    return rc;
}
