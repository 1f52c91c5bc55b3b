#include "fs/tree/table_file.h"

#include "fs/tables/job.h"
#include "fs/views/stream.h"

#include <errno.h>
#include <stdio.h>

/* ---- versions ---- */

int table_file_new(struct mount *mount, struct node *parent, const char *name, int face,
                   struct subject *subject, struct table_file **out)
{
    struct node *node;
    int rc = node_new(mount, parent, parent->class->files, name, &node);
    if (rc < 0)
        return rc;
    *out = table_file(node);
    (*out)->face = face;
    node_set_subject(node, subject);
    return 0;
}

static void clear(struct node *node) { version_unref(table_file(node)->version); }

/* Which view of the version a file of FACE_VIEW is; NULL: none, and why. */
static struct version_view *view_in(const struct node *node, struct version *version, int *why)
{
    struct view view;
    *why = node->parent->class->view(node->name, version->snapshot, &view);
    if (*why < 0)
        return NULL;
    struct version_view *found = version_view(version, &view);
    columns_unref(view.rendition.columns);
    *why = found == NULL ? -ENOMEM : 0;
    return found;
}

static void find_view(struct table_file *file)
{
    if (file->face == FACE_VIEW)
        file->view = view_in(&file->node, file->version, &file->missing);
}

void table_file_bind(struct table_file *file, struct version *version)
{
    file->version = version_ref(version);
    find_view(file);
    version->opens += file->streams;
}

bool table_file_is_of(const struct table_file *file, const struct version *version)
{
    const struct version *own = file->version;
    return own == version ||
           (own != NULL && version != NULL &&
            (file->face < FORMAT_COUNT || file->face == FACE_VIEW) &&
            own->serial == version->serial && own->snapshot != NULL && version->snapshot != NULL &&
            own->snapshot->key.relation == version->snapshot->key.relation);
}

void table_file_renew(struct table_file *file)
{
    const struct subject *subject = file->node.subject;
    struct version *current = subject != NULL ? subject->current : NULL;
    if (file->version == NULL || file->version == current || file->node.opens > 0 ||
        file->filling || !table_file_is_of(file, current))
        return;
    version_unref(file->version);
    file->version = version_ref(current);
    find_view(file);
}

enum face_state table_file_state(const struct table_file *file)
{
    if (file->version == NULL)
        return FACE_UNKNOWN;
    if (file->face < FACE_COUNT)
        return file->version->state[file->face];
    return file->view != NULL ? file->view->state : FACE_FAILED;
}

uint64_t table_file_size(const struct table_file *file)
{
    return file->view != NULL ? file->view->size : file->version->size[file->face];
}

int table_file_rc(const struct table_file *file)
{
    if (file->face < FACE_COUNT)
        return file->version->rc[file->face];
    return file->view != NULL ? file->view->rc : file->missing;
}

static const char *reason_of(const struct table_file *file, struct version *version)
{
    int why;
    if (file->face < FACE_COUNT)
        return version->state[file->face] == FACE_FAILED ? version->reason[file->face] : NULL;
    const struct version_view *view = view_in(&file->node, version, &why);
    return view != NULL && view->state == FACE_FAILED ? view->reason : NULL;
}

/* ---- callers ---- */

struct table_handle {
    struct handle handle;
    struct table_handle *next, **at; /* among the handles of its node */
    /* reading and closing it extends the lease, for the process that has opened it: */
    bool extends;
    caller_id caller;
    struct stream *stream; /* set if it was opened before its size was known; else NULL */
    bool same;             /* it is certain that the stream is of its node's version */
    bool read;             /* something was read from the stream */
};

static struct table_handle *of(struct handle *handle) { return (struct table_handle *)handle; }

const struct promise *table_file_shown(const struct table_file *file, caller_id caller)
{
    const struct promise *promise = promise_find(&file->node.subject->promises, caller);
    bool shown = promise != NULL &&
                 ((promise->version != NULL && table_file_is_of(file, promise->version)) ||
                  promise->glance.nodeid == file->node.nodeid);
    return shown ? promise : NULL;
}

bool table_file_is_opened_by(const struct table_file *file, caller_id caller)
{
    const struct table_handle *handle = file->handles;
    while (handle != NULL && handle->caller != caller)
        handle = handle->next;
    return handle != NULL;
}

/* Promises what stat has told; not for fstat, or a process that polls would never see a new
 * version. */
static void answered_attributes(struct table_file *file, const struct call *call)
{
    struct subject *subject = file->node.subject;
    bool holds = file->version == subject->current && subject_leased(subject);
    bool fstat = table_file_is_opened_by(file, call->caller); /* it may be an fstat */
    if ((call->waited && !fstat) || holds)
        promise_tell(&subject->promises, call->caller, file->version);
    else if (file->node.opens == 0 || (!fstat && table_file_shown(file, call->caller) != NULL))
        promise_repeat(&subject->promises, call->caller, file->version);
    file->exact = file->direct && !file->node.telling;
}

/* After ESTALE the kernel looks the name up again, but only once: that time this process must get a
 * node that is bound to any version that there is. */
static void settled(struct call *call, int rc)
{
    struct table_file *file = table_file(call->node);
    if (file->node.subject == NULL)
        return;
    if (rc == -ESTALE)
        promise_tell(&file->node.subject->promises, call->caller, NULL);
    else if (rc == 0 && call->kind == CALL_GETATTR)
        answered_attributes(file, call);
}

/* ---- attributes ---- */

static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    const struct table_file *file = table_file(node);
    const struct version *version = file->version;
    if (version == NULL)
        return;
    if (table_file_has_size(file))
        st->st_size = (off_t)table_file_size(file);
    int64_t time = version->mtime;
    if (file->view != NULL) {
        st->st_ino = view_id(&file->view->view);
    } else if (file->face <
               FACE_COUNT) { /* else the version has no such view: nobody is told more */
        st->st_ino = node_ino_of(mount, node->subject, file->face, version);
        time = version_time(version, file->face);
    }
    st->st_atime = st->st_mtime = st->st_ctime = (time_t)time;
}

static void reason(struct mount *mount, struct node *node, char *text, size_t size)
{
    const struct table_file *file = table_file(node);
    const struct subject *subject = node->subject;
    struct version *version = file->version;
    if (version == NULL && subject != NULL)
        version = subject->current;
    const char *failed = subject != NULL && version != NULL ? reason_of(file, version) : NULL;
    snprintf(text, size, "%s",
             failed != NULL    ? failed
             : subject != NULL ? subject->error.text
                               : mount->catalog_error.text);
}

/* ---- open and close ---- */

/* Opens a file whose size is not known: the kernel must not cache by a size. The refresh will tell
 * its version; until then other callers get another node. */
static void open_stream(struct table_handle *handle, struct call *call)
{
    struct table_file *file = table_file(call->node);
    struct subject *subject = file->node.subject;
    handle->stream = call->stream;
    call->stream = NULL;
    file->direct = true;
    file->read_by = call->caller;
    handle->same = file->version != NULL;
    if (file->version == NULL)
        subject_bind_later(subject, file->node.nodeid, stream_feed(handle->stream));
    else
        file->version->opens++;
    file->streams++;
    subject->streams++;
    call->mount->tree->streams++;
}

static void free_handle(void *whole)
{
    stream_unref(of(whole)->stream);
    handle_free(whole);
}

static const struct handle_class table_handle_class;

static int open_file(struct mount *mount, struct call *call, struct handle **out)
{
    struct table_file *file = table_file(call->node);
    struct subject *subject = file->node.subject;
    int rc = handle_new(mount, call->node, &table_handle_class, sizeof(struct table_handle),
                        free_handle, out);
    if (rc < 0)
        return rc;
    struct table_handle *handle = of(*out);
    handle->caller = call->caller;
    handle->next = file->handles;
    handle->at = &file->handles;
    if (handle->next != NULL)
        handle->next->at = &handle->next;
    file->handles = handle;
    subject->opens++;
    if (call->stream != NULL)
        open_stream(handle, call);
    else
        file->version->opens++;
    handle->handle.flags = file->direct ? HANDLE_DIRECT : 0;
    if (file->version != NULL && file->version == subject->current)
        handle->extends = file->view != NULL ? subject_open_view(subject, file->view)
                                             : subject_open(subject, file->face);
    promise_keep(&subject->promises, call->caller);
    return 0;
}

/* Ends the job if the rest of what was read along is not needed. */
static void close_stream(struct mount *mount, struct table_file *file)
{
    struct subject *subject = file->node.subject;
    if (--file->streams == 0) {
        subject_bind_never(subject, file->node.nodeid);
        file->streamed = false;
    }
    subject->streams--;
    mount->tree->streams--;
    if (subject->running && subject->streams == 0 && !call_waits_for(mount, subject))
        job_stop(subject);
}

static void close_handle(struct mount *mount, struct handle *closed)
{
    struct table_handle *handle = of(closed);
    struct table_file *file = table_file(closed->node);
    struct subject *subject = file->node.subject;
    /* An answer to an older look-up may still be under way, and may tell size 0 to a kernel that
     * has forgotten the real size. */
    if (file->node.opens == 0)
        file->node.told = false;
    subject->opens--;
    if (handle->stream != NULL)
        close_stream(mount, file);
    if (file->version != NULL)
        file->version->opens--;
    if (handle->extends && file->version != NULL)
        subject_stay(subject, handle->caller, file->version);
    *handle->at = handle->next;
    if (handle->next != NULL)
        handle->next->at = handle->at;
    free_handle(handle);
}

static bool size_news(const struct node *node, const struct handle *handle, struct size_news *out)
{
    const struct table_file *file = table_file(node);
    (void)handle;
    if (node->told)
        return false;
    if (file->direct) {
        *out = (struct size_news){.endless = true};
        return true;
    }
    out->size = table_file_size(file);
    if (file->view != NULL) {
        out->last = file->view->last;
        return out->size > 0;
    }
    const struct buffer *text = &file->version->text[file->face];
    out->last = file->face < FORMAT_COUNT ? formats[file->face]->last
                : text->size > 0          ? text->data[text->size - 1]
                                          : 0;
    return out->size > 0;
}

/* ---- read ---- */

/* Once the size of a direct file has been answered the kernel has it, or learns it from the read
 * answer that ends there; but not from an empty answer. */
static bool misleads(const struct node *node, uint64_t offset)
{
    const struct table_file *file = table_file(node);
    return file->direct && !(file->exact && offset < table_file_size(file));
}

static void let_go(struct mount *mount, void *version)
{
    (void)mount;
    version_unref(version);
}

/* Chooses the stream, as long as it is not certain that the version has the same bytes, and can
 * give them. */
static int choose_source(struct handle *opened, uint64_t offset, size_t size,
                         struct read_source *out)
{
    struct table_handle *handle = of(opened);
    struct table_file *file = table_file(opened->node);
    const struct version *version = file->version;
    (void)offset, (void)size;
    bool known = table_file_state(file) == FACE_READABLE;
    bool same = handle->stream == NULL || handle->same || !handle->read ||
                (version != NULL && feed_ids_have(&version->made_of, stream_feed(handle->stream)));
    out->subject = file->node.subject;
    if (handle->stream != NULL && !(known && same)) {
        handle->read = true;
        file->streamed = true;
        out->stream = stream_ref(handle->stream);
        return 0;
    }
    if (handle->extends)
        subject_stay(file->node.subject, handle->caller, file->version);
    struct version *read = version_ref(file->version);
    if (file->view != NULL) {
        out->version = read;
        out->view = file->view->view;
    } else if (file->face < FORMAT_COUNT) {
        out->version = read;
        out->view = view_whole(read->snapshot, formats[file->face]);
    } else {
        out->text = &read->text[file->face];
        out->let_go = let_go;
        out->owner = read;
    }
    return 0;
}

static const struct handle_class table_handle_class = {.read = choose_source,
                                                       .close = close_handle};

#define TABLE_FILE_CLASS                                                                           \
    .mode = S_IFREG | 0444, .size = sizeof(struct table_file), .clear = clear,                     \
    .ready = table_ready, .overdue = table_ready_overdue, .attributes = attributes,                \
    .settled = settled, .reason = reason, .open = open_file, .size_news = size_news,               \
    .misleads = misleads

const struct node_class table_file_class = {TABLE_FILE_CLASS};
const struct node_class table_removable_class = {TABLE_FILE_CLASS, .flags = CLASS_REMOVED_ONLY};
const struct node_class table_selection_class = {TABLE_FILE_CLASS, .flags = CLASS_UNBOUNDED};
const struct node_class table_view_class = {TABLE_FILE_CLASS, .flags = CLASS_UNBOUNDED};
