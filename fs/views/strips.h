/* The strips of a body (codec/format.h): a reader that wants one column of many, as DuckDB does of
 * Parquet, gets it without the others being read from the cache or rendered.
 *
 * A strip is a body of its own, of the view of that column alone, and is kept as one. So a range is
 * read by strips only if these are a small part of the body: reading on gets whole bodies.
 *
 * Threads: any.
 */
#ifndef FS_VIEWS_STRIPS_H
#define FS_VIEWS_STRIPS_H

#include "fs/views/body.h"

struct strip {
    int column; /* its number in the snapshot's schema */
    bool whole; /* the range has all of it */
    struct format_strip place;
};

struct strips {
    struct strip *list; /* those that the range meets, in order */
    int count;
};

/* Gets the strips that hold the `size` bytes at `offset` of a group's body, but for zeros, if they
 * are worth reading alone: 1. 0: they are not, or there are none. Clear it with strips_clear. */
int strips_of(const struct view *view, size_t group, uint64_t offset, uint64_t size,
              struct strips *out);
void strips_clear(struct strips *strips);

/* Whether the range has all of one strip and nothing of others; *column: of which column. */
bool strip_alone(const struct view *view, size_t group, uint64_t offset, uint64_t size,
                 int *column);
/* Where this column's strip is in the group's body. -ENOENT: the body has no strips. */
MUST_CHECK int strip_place(const struct view *view, size_t group, int column,
                           struct format_strip *out);

/* Begins to render this column's strips of the group and of the next ones. */
void strip_ahead(struct body_cache *cache, const struct view *view, size_t group, int column);

/* A body that begins with the strip, as body_get and body_try give it; `patient` tells which. None
 * is rendered ahead: the kernel asks for whole pages, so some are met by chance. */
MUST_CHECK int strip_get(struct body_cache *cache, const struct view *view, size_t group,
                         const struct strip *strip, bool patient, struct body **out,
                         struct error *error);

#endif
