#include "fs/tree/piece_file.h"

#include "fs/rows/pieces.h"
#include "fs/tables/job_wanted.h"
#include "fs/tree/piece_measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct piece_file {
    struct node node;
    int format;
    struct version *version; /* a reference; NULL: pending */
    struct piece piece;      /* of that version */
    uint64_t ino;
    int64_t mtime;
    bool own; /* for one process that was told ESTALE; others do not share the node */
    /* subject->refreshes, and one more, when its opening last began the lease anew */
    unsigned extended;
    struct piece_measure *measure; /* under way; NULL: none */
    int failures, rc;              /* how often that has failed; the last time's errno, and why: */
    char *reason;
};

static struct piece_file *of(const struct node *node) { return (struct piece_file *)node; }

/* ---- what it shows ---- */

/* The version's piece of this file name; NULL: it has none, or there is no memory to tell. */
static const struct piece *find_piece(struct version *version, const char *name)
{
    const struct pieces *pieces = version_pieces(version);
    return pieces != NULL
               ? pieces_find(version->snapshot, pieces, name, (size_t)(strchr(name, '.') - name))
               : NULL;
}

static uint64_t ino_of(struct version *version, const struct piece *piece, int format)
{
    return piece_ino(version->snapshot, version_pieces(version), piece, formats[format]);
}

static void show(struct piece_file *file, struct version *version, const struct piece *piece)
{
    struct version *before = file->version;
    file->version = version_ref(version);
    file->piece = *piece;
    file->ino = ino_of(version, piece, file->format);
    file->mtime = piece_file_mtime(version->snapshot, piece, formats[file->format]);
    version_unref(before);
}

/* Whether it shows the same as the version's piece of its name. */
static bool is_of(const struct piece_file *file, struct version *version)
{
    if (file->version == version)
        return true;
    const struct piece *piece = find_piece(version, file->node.name);
    return piece != NULL && ino_of(version, piece, file->format) == file->ino;
}

/* A version of the past is not kept for the same bytes. */
static void renew(struct piece_file *file, struct version *current)
{
    const struct piece *piece;
    if (current == NULL || file->version == NULL || file->version == current ||
        file->node.opens > 0 || file->measure != NULL || !is_of(file, current))
        return;
    piece = find_piece(current, file->node.name);
    if (piece != NULL)
        show(file, current, piece);
}

static struct view view_of(const struct piece_file *file)
{
    return piece_view(file->version->snapshot, &file->piece, formats[file->format]);
}

static const struct face *face_of(const struct piece_file *file)
{
    const struct view view = view_of(file);
    return view_face(&view);
}

static void clear(struct node *node)
{
    struct piece_file *file = of(node);
    version_unref(file->version);
    free(file->reason);
}

/* ---- look-up ---- */

/* Of the files of this name that show this, and may be shared, the oldest: a process that goes by one
 * has that one for as long as it shows the same. `ino` 0: of those that are pending. */
static struct piece_file *file_with(const struct lookup *lookup, uint64_t ino, bool open)
{
    struct piece_file *oldest = NULL;
    for (struct node *node = lookup->parent->files; node != NULL; node = node->next_file)
        if (!of(node)->own && of(node)->ino == ino && (node->opens == 0 || open) &&
            strcmp(node->name, lookup->name) == 0)
            oldest = of(node);
    return oldest;
}

static int file_new(struct mount *mount, const struct lookup *lookup, int format,
                    struct subject *subject, struct piece_file **out)
{
    struct node *node;
    int rc = node_new(mount, lookup->parent, &piece_file_class, lookup->name, &node);
    if (rc < 0)
        return rc;
    *out = of(node);
    (*out)->format = format;
    node_set_subject(node, subject);
    return 0;
}

/* Which version the caller is shown, if any; *sure: without asking the server. */
static struct version *version_for(const struct subject *subject, const struct promise *promise,
                                   const struct lookup *lookup, bool *sure)
{
    struct version *version =
        promise != NULL ? promise->version : subject_stays(subject, lookup->caller);
    bool refreshed = lookup->waited && (int)(subject->refreshes - lookup->refreshes_seen) > 0;
    *sure = version != NULL || (subject->current != NULL && (refreshed || subject_leased(subject)));
    return version != NULL ? version : subject->current;
}

static int look_up(struct mount *mount, const struct lookup *lookup, int format,
                   struct subject *subject, struct piece_file **out)
{
    const struct promise *promise =
        subject != NULL ? subject_promised(subject, lookup->caller) : NULL;
    bool sure = false;
    if (promise != NULL && promise->version == NULL) { /* it was told ESTALE */
        int rc = file_new(mount, lookup, format, subject, out);
        if (rc == 0)
            (*out)->own = true;
        return rc;
    }
    struct version *version = subject != NULL ? version_for(subject, promise, lookup, &sure) : NULL;
    bool lacks = version != NULL && version_lacks(version, format);
    const struct piece *piece =
        version != NULL && !lacks ? find_piece(version, lookup->name) : NULL;
    if (piece != NULL)
        *out = file_with(lookup, ino_of(version, piece, format), sure);
    if (*out != NULL)
        return 0;
    if (sure && !lacks && piece == NULL)
        return -ENOENT;
    if (!sure || lacks)
        *out = file_with(lookup, 0, true);
    int rc = *out == NULL ? file_new(mount, lookup, format, subject, out) : 0;
    if (rc == 0 && sure && !lacks) {
        show(*out, version, piece);
        (*out)->node.told = face_of(*out)->measured; /* all that is ever said of it */
    }
    return rc;
}

/* The format of the file, if the name can be that of a piece; else -1. */
static int format_of(const struct lookup *lookup)
{
    const char *format_name = lookup->parent->name, *dot = strchr(lookup->name, '.');
    bool can_be = dot != NULL && strcmp(dot + 1, format_name) == 0 &&
                  piece_is_name(lookup->name, (size_t)(dot - lookup->name));
    return can_be ? format_find(format_name, strlen(format_name)) : -1;
}

struct node *piece_file_doubt(struct mount *mount, const struct lookup *lookup)
{
    int format = format_of(lookup);
    const struct subject *subject = format >= 0 ? node_rows(mount, lookup->parent) : NULL;
    bool sure;
    if (subject == NULL || subject_promised(subject, lookup->caller) != NULL)
        return NULL;
    struct version *version = version_for(subject, NULL, lookup, &sure);
    if (sure || version == NULL || version_lacks(version, format))
        return NULL;
    const struct piece *piece = find_piece(version, lookup->name);
    struct piece_file *file =
        piece != NULL ? file_with(lookup, ino_of(version, piece, format), true) : NULL;
    return file != NULL && file->node.opens > 0 ? &file->node : NULL;
}

/* Notes what the look-up has shown the caller. */
static void note_look(const struct piece_file *file, const struct lookup *lookup)
{
    const struct glance glance = {.nodeid = file->node.nodeid,
                                  .waited = lookup->waited,
                                  .refreshes_seen = lookup->refreshes_seen};
    if (file->node.subject != NULL)
        promise_show(&file->node.subject->promises, lookup->caller, file->version, &glance);
}

int piece_file_look_up(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    int format = format_of(lookup);
    if (format < 0)
        return -ENOENT;
    struct subject *subject = node_rows(mount, lookup->parent);
    struct piece_file *file = NULL;
    int rc = look_up(mount, lookup, format, subject, &file);
    if (rc < 0)
        return rc;
    if (file->node.subject == NULL)
        node_set_subject(&file->node, subject);
    if (subject != NULL && file->node.subject == subject)
        renew(file, subject->current);
    note_look(file, lookup);
    *out = &file->node;
    return 0;
}

/* ---- what a call waits for ---- */

int piece_file_need_version(struct call *call, int format)
{
    struct subject *subject = call->node->subject;
    const struct version *current = subject->current;
    bool lacks = current != NULL && version_lacks(current, format);
    if (current != NULL && (call_is_refreshed(call) || (subject_leased(subject) && !lacks)))
        return 0;
    call_await_refresh(call);
    /* A format that is asked for is rendered as a whole: only one that was left out is. */
    job_want_refresh(subject, lacks ? format : -1);
    return -EAGAIN;
}

/* The pending file shows the current version's piece from now on. */
static int bind(struct call *call)
{
    struct piece_file *file = of(call->node);
    int rc = piece_file_need_version(call, file->format);
    if (rc < 0)
        return rc;
    struct version *current = file->node.subject->current;
    if (version_pieces(current) == NULL)
        return -ENOMEM;
    const struct piece *piece = find_piece(current, file->node.name);
    if (piece == NULL)
        return -ENOENT;
    show(file, current, piece);
    return 0;
}

/* Whether the caller may have what the file shows. */
static int judge(struct call *call)
{
    struct piece_file *file = of(call->node);
    const struct subject *subject = file->node.subject;
    const struct promise *promise =
        call->kind == CALL_OPEN ? subject_promised(subject, call->caller) : NULL;
    struct version *stays = subject_stays(subject, call->caller);
    if ((promise != NULL && promise->version != NULL && is_of(file, promise->version)) ||
        (stays != NULL && is_of(file, stays)))
        return 0;
    int rc = piece_file_need_version(call, file->format);
    if (rc < 0)
        return rc;
    renew(file, subject->current);
    return is_of(file, subject->current) ? 0 : -ESTALE;
}

/* What the caller's last look-up has shown, if that was this file, or another one of its version; else
 * NULL. */
static const struct promise *find_shown(const struct piece_file *file, caller_id caller)
{
    const struct promise *promise = promise_find(&file->node.subject->promises, caller);
    bool shown = promise != NULL && ((promise->version != NULL && is_of(file, promise->version)) ||
                                     promise->glance.nodeid == file->node.nodeid);
    return shown ? promise : NULL;
}

/* What the caller's look-up has waited for counts for the call. */
static void take_glance(struct call *call)
{
    const struct promise *shown = find_shown(of(call->node), call->caller);
    if (shown == NULL || shown->told || !shown->glance.waited || call->waited)
        return;
    call->waited = true;
    call->refreshes_seen = shown->glance.refreshes_seen;
}

/* Waits for a refresh, if the node is open. A failure is not told here, but to calls that ask for more
 * than the name. */
static int try_lookup(struct mount *mount, struct call *call)
{
    struct lookup lookup = call_lookup(call);
    if (piece_file_doubt(mount, &lookup) != call->node)
        return 0;
    bool failed = call_has_seen_failure(call);
    call_count_from_now(call);
    if (failed || call_looks_no_longer(call))
        return 0;
    call_await_refresh(call);
    job_want_refresh(call->node->subject, -1);
    return -EAGAIN;
}

static bool has_sizes(const struct view *view)
{
    size_t i = view->first;
    while (i < view->end && group_size(view->snapshot->groups[i], &view->rendition) != SIZE_UNKNOWN)
        i++;
    return i == view->end;
}

static void measured(struct mount *mount, uint64_t nodeid, int rc, const char *reason)
{
    struct node *node = node_find(mount, nodeid);
    if (node == NULL)
        return; /* the kernel has forgotten it */
    struct piece_file *file = of(node);
    file->measure = NULL;
    if (rc == 0 || rc == -EINTR)
        return;
    file->failures++;
    file->rc = rc;
    free(file->reason);
    file->reason = strdup(reason);
}

static int need_size(struct call *call)
{
    struct piece_file *file = of(call->node);
    const struct format *format = formats[file->format];
    const struct face *whole = snapshot_face(file->version->snapshot, format),
                      *face = face_of(file);
    const struct view view = view_of(file);
    if (whole->refused < 0)
        version_say_failure(file->version, file->format);
    if (whole->refused < 0 || face->refused < 0)
        return whole->refused < 0 ? whole->refused : face->refused;
    if (face->measured)
        return 0;
    if (!format->possible(file->version->snapshot->schema))
        return -EIO;
    if (file->measure == NULL) {
        if (call->tries > 0 && file->failures >= call->tries)
            return file->rc;
        if (has_sizes(&view))
            return view_measured(&view);
        int rc = piece_measure_start(file->node.subject, file->version, &view, file->node.nodeid,
                                     measured, &file->measure);
        if (rc < 0)
            return rc;
    }
    call->tries = file->failures + 1;
    call->on = piece_measure_waiting(file->measure);
    return -EAGAIN;
}

static int ready(struct mount *mount, struct call *call)
{
    struct piece_file *file = of(call->node);
    bool pending = file->version == NULL;
    if (call->kind == CALL_LOOKUP)
        return try_lookup(mount, call);
    if (!pending && call->kind == CALL_GETATTR && file->node.opens > 0 && face_of(file)->measured)
        return 0; /* nothing tells it from fstat */
    if (pending || call->awaited != file) {
        int rc = call_need_subject(mount, call, node_rows, !pending);
        if (rc == 0)
            take_glance(call);
        if (rc == 0)
            rc = file->version == NULL ? bind(call) : judge(call);
        if (rc < 0)
            return rc;
        call->awaited =
            file; /* whatever becomes of the table, this call gets what the file shows */
    }
    return need_size(call);
}

/* What nobody waits for is not needed. */
static void interrupted(struct call *call)
{
    struct piece_file *file = of(call->node);
    if (file->measure != NULL && file->node.calls == 1)
        piece_measure_stop(file->measure);
}

/* What stat has told, the caller's next open gets; not for fstat, or a process that polls would
 * never see a new version. After ESTALE the kernel looks the name up again, but only once: that
 * time this process must get a node of its own. */
static void settled(struct call *call, int rc)
{
    struct piece_file *file = of(call->node);
    struct subject *subject = file->node.subject;
    if (subject == NULL)
        return;
    if (rc == -ESTALE) {
        promise_tell(&subject->promises, call->caller, NULL);
    } else if (rc == 0 && call->kind == CALL_GETATTR) {
        bool holds = subject->current != NULL && is_of(file, subject->current);
        struct version *told = holds ? subject->current : file->version;
        if (call->waited || (holds && subject_leased(subject)))
            promise_tell(&subject->promises, call->caller, told);
        else if (file->node.opens == 0 || find_shown(file, call->caller) != NULL)
            promise_repeat(&subject->promises, call->caller, told);
    }
}

/* ---- attributes ---- */

static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    const struct piece_file *file = of(node);
    (void)mount;
    if (file->version == NULL)
        return;
    st->st_size = (off_t)face_of(file)->size;
    st->st_ino = file->ino;
    st->st_atime = st->st_mtime = st->st_ctime = (time_t)file->mtime;
}

static void reason(struct mount *mount, struct node *node, char *text, size_t size)
{
    const struct piece_file *file = of(node);
    const struct subject *subject = node->subject;
    const char *why = file->reason;
    if (file->version != NULL) {
        const struct face *whole = snapshot_face(file->version->snapshot, formats[file->format]);
        why = whole->refused < 0           ? whole->reason
              : face_of(file)->refused < 0 ? face_of(file)->reason
                                           : why;
    }
    if (why == NULL)
        why = subject != NULL ? subject->error.text : mount->catalog_error.text;
    snprintf(text, size, "%s", why);
}

/* ---- open files ---- */

struct piece_handle {
    struct handle handle;
    caller_id caller;
    bool extends; /* reading and closing it extends the lease, for the process that has opened it */
};

static void stay(struct handle *opened)
{
    const struct piece_handle *handle = (struct piece_handle *)opened;
    const struct piece_file *file = of(opened->node);
    if (handle->extends)
        subject_stay(file->node.subject, handle->caller, file->version);
}

static int read_piece(struct handle *handle, uint64_t offset, size_t size, struct read_source *out)
{
    const struct piece_file *file = of(handle->node);
    (void)offset, (void)size;
    stay(handle);
    out->subject = file->node.subject;
    out->version = version_ref(file->version);
    out->view = view_of(file);
    return 0;
}

static void close_piece(struct mount *mount, struct handle *handle)
{
    struct piece_file *file = of(handle->node);
    (void)mount;
    /* An answer to an older look-up may still be under way, and may tell size 0 to a kernel that
     * has forgotten the real size. */
    if (file->node.opens == 0)
        file->node.told = false;
    stay(handle);
    file->node.subject->opens--;
    file->version->opens--;
    handle_free(handle);
}

static void free_handle(void *handle) { handle_free(handle); }

static const struct handle_class piece_handle_class = {.read = read_piece, .close = close_piece};

/* A piece's first open after a refresh begins the lease anew: a program that opens the same one
 * again and again sees a change, and one that copies them all goes on with one version. */
static bool extends(struct piece_file *file)
{
    struct subject *subject = file->node.subject;
    if (file->version != subject->current || file->extended == subject->refreshes + 1)
        return false;
    file->extended = subject->refreshes + 1;
    subject_extend(subject);
    return true;
}

static int open_piece(struct mount *mount, struct call *call, struct handle **out)
{
    struct piece_file *file = of(call->node);
    struct subject *subject = file->node.subject;
    int rc = handle_new(mount, call->node, &piece_handle_class, sizeof(struct piece_handle),
                        free_handle, out);
    if (rc < 0)
        return rc;
    struct piece_handle *handle = (struct piece_handle *)*out;
    handle->caller = call->caller;
    handle->extends = extends(file);
    subject->opens++;
    file->version->opens++;
    promise_keep(&subject->promises, call->caller);
    return 0;
}

static bool size_news(const struct node *node, const struct handle *handle, struct size_news *out)
{
    const struct piece_file *file = of(node);
    (void)handle;
    *out = (struct size_news){.size = face_of(file)->size, .last = formats[file->format]->last};
    return !node->told && out->size > 0;
}

const struct node_class piece_file_class = {.mode = S_IFREG | 0444,
                                            .flags = CLASS_UNBOUNDED,
                                            .size = sizeof(struct piece_file),
                                            .clear = clear,
                                            .ready = ready,
                                            .interrupted = interrupted,
                                            .overdue = call_looks_no_longer,
                                            .settled = settled,
                                            .attributes = attributes,
                                            .reason = reason,
                                            .open = open_piece,
                                            .size_news = size_news};
