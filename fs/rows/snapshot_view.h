/* A view: some row groups of a table snapshot in a rendition, a byte sequence of exact size; and
 * its face, what the snapshot knows of it.
 *
 * Lifetime: a view is a value that borrows the snapshot and the columns; view_ref makes a copy that
 * keeps them. A face lives as long as its snapshot. Threads: any. Of a face only those fields
 * change that are set once; finding it takes no lock. Errors: those of the format; -ENOMEM.
 */
#ifndef FS_ROWS_SNAPSHOT_VIEW_H
#define FS_ROWS_SNAPSHOT_VIEW_H

#include "fs/rows/snapshot.h"

#include <errno.h>

#define VIEW_TO_END SIZE_MAX

struct view {
    struct snapshot *snapshot;
    struct rendition rendition;
    /* its groups, by their numbers in the snapshot: [first, end), and `first` is one of them or
     * `end`. VIEW_TO_END: up to the last, whichever that is */
    size_t first, end;
};

/* The file of this format: all groups, all columns. */
static inline struct view view_whole(struct snapshot *snapshot, const struct format *format)
{
    return (struct view){.snapshot = snapshot, .rendition = {.format = format}, .end = VIEW_TO_END};
}

struct view view_ref(const struct view *view);
void view_unref(const struct view *view);

/* Of two that are the same: the same, for ever. A hash of what it is made of: cluster, database,
 * relation, format, version; of what is not a whole file, or not of all columns, groups and columns,
 * too; of what another encoder makes now, the time since then, too. */
uint64_t view_id(const struct view *view);

/* The end of its groups. */
static inline size_t view_end(const struct view *view)
{
    size_t count = view->snapshot->group_count;
    return view->end < count ? view->end : count;
}

struct face {
    struct face *next;
    struct rendition rendition; /* the rendition that it is of, with a reference to the columns */
    size_t first, end;
    struct schema *chosen; /* the schema of these columns; NULL: all, the snapshot's */

    bool asked;  /* it is known whether the server refuses it: it does only if `refused` is set */
    int refused; /* a negative errno, and the reason; -EDOM: one of its rows has no form in it */
    char *reason;
    atomic_bool measured; /* what follows is set */
    struct buffer head, tail;
    uint64_t *offsets; /* the offset of each group's body, and that of the tail */
    uint64_t *counts;  /* what is added to each group's body if it counts; else NULL */
    uint64_t size;     /* bytes of the whole view */
    atomic_bool hashed;
    struct hash128 hash; /* of all its bytes */
};

/* Whether it is refused whatever the rows are. */
static inline bool face_is_denied(const struct face *face)
{
    return face->refused < 0 && face->refused != -EDOM;
}

static inline bool face_is_known(const struct face *face)
{
    return face->asked || face->measured || face->refused < 0;
}

/* What is known of the view: never NULL, but perhaps empty. */
const struct face *view_face(const struct view *view);
/* The same for a whole file. */
const struct face *snapshot_face(const struct snapshot *snapshot, const struct format *format);

/* The face, made if need be. A view of some columns can be rendered once it has one. -EINVAL: the
 * snapshot has no such column. */
MUST_CHECK int view_make_face(const struct view *view, struct face **out);

/* The schema of its columns; NULL: it is of some columns, and has no face. */
const struct schema *view_schema(const struct view *view);

/* The view, with this schema, as its head and tail are told of it. */
struct format_view view_told(const struct view *view, const struct schema *schema);

/* Notes that the server has been asked for every format. Before the snapshot is published. */
MUST_CHECK int snapshot_ask_all(struct snapshot *snapshot);

/* Notes that there is no such file, and why. */
MUST_CHECK int view_refuse(const struct view *view, int why, const char *reason);

/* Computes the measures of the whole, once the body of each of its groups has been measured. */
MUST_CHECK int view_measured(const struct view *view);

/* Notes the hash of all its bytes. */
MUST_CHECK int view_hashed(const struct view *view, struct hash128 hash);

/* Appends the tail. `offsets` as those of a face. */
MUST_CHECK int view_tail(const struct view *view, const struct schema *schema,
                         const uint64_t *offsets, struct buffer *out);

/* Copies everything that `old`, which has the same content, knows of its views. Before `fresh` is
 * published. */
MUST_CHECK int snapshot_take_faces(struct snapshot *fresh, const struct snapshot *old);

/* For the snapshot's end. */
void faces_free(struct snapshot *snapshot);

#endif
