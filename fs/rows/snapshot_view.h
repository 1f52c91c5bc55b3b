/* A view: some row groups of a table snapshot in a rendition, a byte sequence of exact size; and
 * its face, what the snapshot knows of it.
 *
 * Lifetime: a view is a value that borrows the snapshot and the columns; view_ref makes a copy
 * that keeps them. A face lives as long as its snapshot.
 * Threads: any. A face changes only in what it says to be set once; finding it takes no lock.
 * Errors: those of the format; -ENOMEM.
 */
#ifndef FS_ROWS_SNAPSHOT_VIEW_H
#define FS_ROWS_SNAPSHOT_VIEW_H

#include "fs/rows/snapshot.h"

#define VIEW_TO_END SIZE_MAX

struct view {
    struct snapshot *snapshot;
    struct rendition rendition;
    size_t first, end; /* its groups, by their numbers in the snapshot: [first, end), first being
                          one of them or `end`. VIEW_TO_END: up to the last, whichever that is */
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
 * too. */
uint64_t view_id(const struct view *view);

/* The end of its groups. */
static inline size_t view_end(const struct view *view)
{
    size_t count = view->snapshot->group_count;
    return view->end < count ? view->end : count;
}

struct face {
    struct face *next;
    struct rendition rendition; /* what it is of, with a reference to the columns */
    size_t first, end;
    struct schema *chosen; /* of these columns; NULL: of all, the snapshot's */

    bool asked;  /* whether the server refuses it is known: it does not, unless: */
    int refused; /* a negative errno, and why */
    char *reason;
    atomic_bool measured; /* what follows is set */
    struct buffer head, tail;
    uint64_t *offsets; /* where the body of each of its groups begins; one more: where the tail does
                        */
    uint64_t size;     /* of all, in bytes */
    atomic_bool hashed;
    struct hash128 hash; /* of all its bytes */
};

static inline bool face_is_known(const struct face *face)
{
    return face->asked || face->measured || face->refused < 0;
}

/* What is known of the view: never NULL, but perhaps nothing. */
const struct face *view_face(const struct view *view);
/* The same of a whole file. */
const struct face *snapshot_face(const struct snapshot *snapshot, const struct format *format);

/* The face, made if need be. What is of some columns can be rendered from then on. -EINVAL: the
 * snapshot has no such column. */
MUST_CHECK int view_make_face(const struct view *view, struct face **out);

/* The schema of its columns; NULL: of some, and it has no face. */
const struct schema *view_schema(const struct view *view);

/* The view, of this schema, as its head and tail are told of it. */
struct format_view view_told(const struct view *view, const struct schema *schema);

/* Before the snapshot is published: the server has been asked for every format. */
MUST_CHECK int snapshot_ask_all(struct snapshot *snapshot);

/* There is no such file, and why. */
MUST_CHECK int view_refuse(const struct view *view, int why, const char *reason);

/* Once the body of each of its groups has been measured: the whole of it. */
MUST_CHECK int view_measured(const struct view *view);

/* The hash of all its bytes is known. */
MUST_CHECK int view_hashed(const struct view *view, struct hash128 hash);

/* Appends the tail. `offsets` as those of a face. */
MUST_CHECK int view_tail(const struct view *view, const struct schema *schema,
                         const uint64_t *offsets, struct buffer *out);

/* All that `old`, which has the same content, knows of its views. Before it is published. */
MUST_CHECK int snapshot_take_faces(struct snapshot *fresh, const struct snapshot *old);

/* For the snapshot's end. */
void faces_free(struct face *first);

#endif
