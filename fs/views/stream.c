#include "fs/views/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_MS = 100 };

struct stream {
    atomic_uint refs;
    struct waiters_task ending;
    const struct fetch_place *place;
    struct rendition rendition; /* with a reference to its columns */
    uint64_t feed_id;           /* feed_id() of the first feed */
    pthread_mutex_t lock;       /* guards what follows */
    struct feed *feed;
    struct snapshot *snapshot; /* of its own, with the groups that have come so far */
    size_t checked;            /* number of its groups that have come from this feed, too */
    size_t measured;           /* number of bodies whose size is known: all, or all but the last */
    struct feed_place next;
    bool whole;        /* the last group has come */
    uint64_t *offsets; /* the offset of each measured body, and of what comes next */
    struct buffer head, tail;
    struct fetch_body body; /* that of the group read last */
    int rc; /* reading on has failed, for good: no place is known for what comes next */
    struct error error;
    size_t body_group;
};

/* The view of everything that has come, and will come. */
static struct view all_of(const struct stream *stream)
{
    return (struct view){stream->snapshot, stream->rendition, 0, VIEW_TO_END};
}

static int begin(struct stream *stream)
{
    const struct format *format = stream->rendition.format;
    struct face *face;
    int rc = snapshot_copy_basis(feed_basis(stream->feed), &stream->snapshot);
    struct view view = all_of(stream);
    if (rc == 0)
        rc = view_make_face(&view, &face);
    const struct format_view told = {.schema = rc == 0 ? view_schema(&view) : NULL,
                                     .rows = ROWS_UNKNOWN};
    if (rc == 0 && !format->possible(told.schema))
        rc = -EIO;
    if (rc == 0)
        rc = format_head(format, &told, &stream->head);
    stream->offsets = malloc(sizeof *stream->offsets);
    if (rc < 0 || stream->offsets == NULL)
        return rc < 0 ? rc : -ENOMEM;
    stream->offsets[0] = stream->head.size;
    return 0;
}

int stream_new(const struct fetch_place *place, struct feed *feed,
               const struct rendition *rendition, struct stream **out)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return -ENOMEM;
    stream->refs = 1;
    stream->place = place;
    stream->feed = feed_ref(feed);
    stream->feed_id = feed_id(feed);
    stream->rendition = (struct rendition){rendition->format, columns_ref(rendition->columns)};
    pthread_mutex_init(&stream->lock, NULL);
    int rc = begin(stream);
    if (rc < 0)
        stream_unref(stream);
    else
        *out = stream;
    return rc;
}

uint64_t stream_feed(const struct stream *stream) { return stream->feed_id; }

struct stream *stream_ref(struct stream *stream)
{
    atomic_fetch_add(&stream->refs, 1);
    return stream;
}

static void free_stream(void *argument)
{
    struct stream *stream = argument;
    feed_unref(stream->feed);
    snapshot_unref(stream->snapshot);
    free(stream->offsets);
    buffer_clear(&stream->head);
    buffer_clear(&stream->tail);
    fetch_body_clear(&stream->body);
    columns_unref(stream->rendition.columns);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

/* Frees the stream with the last reference. That deletes files, so another thread does it. */
void stream_unref(struct stream *stream)
{
    if (stream == NULL || atomic_fetch_sub(&stream->refs, 1) != 1)
        return;
    if (stream->place->enders != NULL)
        waiters_put(stream->place->enders, &stream->ending, free_stream, stream);
    else
        free_stream(stream);
}

/* Renders the group's body into stream->body. */
static int render(struct stream *stream, size_t number, struct error *error)
{
    const struct view view = all_of(stream);
    struct rowgroup *rows;
    if (number == stream->body_group && stream->body.bytes.size > 0)
        return 0;
    int rc = fetch_group(stream->place, stream->snapshot, number, &rows, error);
    if (rc < 0)
        return rc;
    stream->body_group = number;
    rc = fetch_body_measure(&stream->body, &view.rendition, view_schema(&view), rows, true,
                            stream->snapshot->groups[number]);
    rowgroup_free(rows);
    if (rc < 0) {
        stream->body.bytes.size = 0;
        return error_set(error, rc, "row group %zu cannot be written as %s: %s", number,
                         view.rendition.format->name,
                         rc == -EBADMSG ? "the server sent a value that is not one of its type"
                                        : strerror(-rc));
    }
    return 0;
}

/* Goes on with the next feed. -ESTALE: there is none to go on with. */
static int follow(struct stream *stream)
{
    struct feed *next = feed_successor(stream->feed);
    bool same = next != NULL && schema_same(feed_basis(next)->schema, stream->snapshot->schema);
    if (!same) {
        feed_unref(next);
        return -ESTALE;
    }
    feed_unref(stream->feed);
    stream->feed = next;
    stream->next = (struct feed_place){0};
    stream->checked = 0;
    return 0;
}

/* The next group that this stream has not had yet. NULL: there are no more. -EAGAIN: none has
 * come. */
static int next_group(struct stream *stream, struct group **out, struct error *error)
{
    const struct snapshot *snapshot = stream->snapshot;
    for (;;) {
        struct group *group;
        int rc = feed_next(stream->feed, &stream->next, PATIENCE_MS, &group, error);
        if (rc == -ESTALE && follow(stream) == 0)
            return -EAGAIN;
        if (rc < 0)
            return rc;
        if (stream->checked == snapshot->group_count) {
            *out = group;
            return 0;
        }
        bool same = group != NULL && group_same(group, snapshot->groups[stream->checked++]);
        group_unref(group);
        if (!same)
            return error_set(error, -ESTALE, "the rows have changed while they were read");
    }
}

/* Finds the size of the next body. If something stops it, nothing has failed: the next read does
 * it. */
static int measure(struct stream *stream, struct error *error)
{
    size_t number = stream->measured;
    int rc = render(stream, number, error);
    if (rc < 0)
        return rc;
    stream->offsets[number + 1] = stream->offsets[number] + stream->body.bytes.size;
    stream->measured++;
    return 0;
}

/* Writes the tail: the last group has come. */
static int end(struct stream *stream, struct error *error)
{
    const struct view view = all_of(stream);
    int rc = view_tail(&view, view_schema(&view), stream->offsets, &stream->tail);
    if (rc < 0)
        return error_set(error, rc, "the end of the file cannot be written");
    stream->whole = true;
    return 0;
}

/* Takes the next group, and measures it. -EAGAIN: none has come. */
static int advance(struct stream *stream, struct error *error)
{
    struct group *group = NULL;
    size_t count = stream->snapshot->group_count;
    if (stream->measured < count)
        return measure(stream, error);
    int rc = next_group(stream, &group, error);
    if (rc == 0 && group == NULL)
        return end(stream, error);
    if (rc < 0)
        return rc;
    uint64_t *grown = realloc(stream->offsets, (count + 2) * sizeof *grown);
    if (grown != NULL)
        stream->offsets = grown;
    rc = grown == NULL ? -ENOMEM : snapshot_add_group(stream->snapshot, group);
    if (rc < 0) {
        group_unref(group);
        return error_set(error, rc, "no memory to read with");
    }
    stream->checked++;
    return measure(stream, error);
}

/* Appends the bytes that [offset, end) and a piece that begins at `start` have in common. */
static int append_common(struct buffer *out, uint64_t start, const struct buffer *piece,
                         uint64_t offset, uint64_t end)
{
    uint64_t from = offset > start ? offset - start : 0;
    uint64_t to = end < start + piece->size ? (end > start ? end - start : 0) : piece->size;
    return to > from ? buffer_append(out, piece->data + from, to - from) : 0;
}

static int read_known(struct stream *stream, uint64_t offset, uint64_t end, struct buffer *out,
                      struct error *error)
{
    size_t count = stream->measured;
    int rc = append_common(out, 0, &stream->head, offset, end);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (stream->offsets[i + 1] <= offset || stream->offsets[i] >= end)
            continue;
        rc = render(stream, i, error);
        if (rc == 0)
            rc = append_common(out, stream->offsets[i], &stream->body.bytes, offset, end);
    }
    return rc < 0 || !stream->whole
               ? rc
               : append_common(out, stream->offsets[count], &stream->tail, offset, end);
}

int stream_read(struct stream *stream, uint64_t offset, uint64_t size,
                bool (*give_up)(void *context), void *context, struct buffer *out,
                struct error *error)
{
    uint64_t end = size > UINT64_MAX - offset ? UINT64_MAX : offset + size;
    int rc = 0;
    while (pthread_mutex_trylock(&stream->lock) != 0) { /* another thread reads, and may wait */
        if (give_up(context))
            return -EINTR;
        usleep(PATIENCE_MS / 10 * 1000);
    }
    while (rc == 0 && stream->rc == 0 && !stream->whole &&
           stream->offsets[stream->measured] < end) {
        struct error reason = {""};
        rc = advance(stream, &reason);
        if (rc == -EAGAIN) {
            rc = give_up(context) ? -EINTR : 0;
        } else if (rc < 0 && !(rc == -EINTR && give_up(context))) {
            stream->rc = rc;
            stream->error = reason;
        }
    }
    if (stream->rc < 0) {
        rc = stream->rc;
        if (error != NULL)
            *error = stream->error;
    }
    if (rc == 0)
        rc = read_known(stream, offset, end, out, error);
    pthread_mutex_unlock(&stream->lock);
    return rc;
}
