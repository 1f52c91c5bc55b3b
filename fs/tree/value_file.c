#include "fs/tree/value_file.h"

#include "fs/tree/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct value_node {
    struct node node;
    struct value_holder *holder; /* a reference */
    int field;
    struct draft *drafts; /* those of its open files */
    bool removed;         /* it was unlinked: its name leads to another file */
    caller_id own;        /* only this caller's look-ups find it, until it is opened; 0: all do */
};

static struct value_node *of(const struct node *node) { return (struct value_node *)node; }

/* ---- drafts ---- */

struct draft {
    struct handle handle;
    /* among the drafts of its node; guarded by mount->lock. at NULL: it edits */
    struct draft *next, **at;
    struct value_holder *holder;
    int field;
    struct value_field like; /* what the field's values are like */
    bool append, reads;
    bool edits;            /* it is for truncate(2), which does not wait */
    _Atomic uint64_t size; /* size of what it shows */
    pthread_mutex_t lock;  /* guards all that follows; taken before mount->lock */
    /* It shows this text, which is the value's and a reference of its own, or less than all of it; */
    struct value_text base;
    struct buffer bytes; /* and these behind it. So what is appended leaves the rest alone. */
    uint64_t counted;    /* how many of these are counted in the mount's `written` */
    bool written;        /* written to, and not made the value since */
    bool truncated;      /* truncated by open; nothing has been written yet */
    /* the errno with which a write was refused; what continues that write is refused, too */
    int refused;
    /* what the draft was last, while the server judges it, or after that; NULL: nothing. It changes
     * with both locks held */
    struct value_check *check;
};

static struct draft *draft_of(struct handle *handle) { return (struct draft *)handle; }

static void drop(void *handle)
{
    struct draft *draft = handle;
    if (draft->at != NULL) {
        *draft->at = draft->next;
        if (draft->next != NULL)
            draft->next->at = draft->at;
    }
    shared_text_unref(draft->base.text);
    value_check_unref(draft->check);
    written_note(&draft->holder->mount->written, &draft->counted, 0);
    draft->holder->class->unref(draft->holder);
    buffer_clear(&draft->bytes);
    pthread_mutex_destroy(&draft->lock);
    handle_free(&draft->handle);
}

static const struct handle_class draft_class;

/* The size of what it shows of its base. */
static uint64_t base_size(const struct draft *draft)
{
    return draft->base.text != NULL ? value_text_size(&draft->base, &draft->like) : 0;
}

static uint64_t size_of(const struct draft *draft) { return base_size(draft) + draft->bytes.size; }

static int draft_new(struct mount *mount, struct node *node, int flags, struct draft **out)
{
    struct value_holder *holder = of(node)->holder;
    int field = of(node)->field;
    struct handle *handle;
    int rc = handle_new(mount, node, &draft_class, sizeof(struct draft), drop, &handle);
    if (rc < 0)
        return rc;
    struct draft *draft = draft_of(handle);
    handle->flags = HANDLE_DIRECT | HANDLE_FORGETS | HANDLE_FLUSHES;
    draft->holder = holder->class->ref(holder);
    pthread_mutex_init(&draft->lock, NULL);
    draft->field = field;
    draft->like = value_field(holder, field);
    draft->append = flags & O_APPEND;
    draft->truncated = flags & O_TRUNC;
    draft->reads = (flags & O_ACCMODE) != O_WRONLY;
    if (!draft->truncated)
        draft->base = holder->class->text(holder, field);
    shared_text_ref(draft->base.text);
    if (!draft->truncated && draft->base.text == NULL)
        rc = holder->class->show(holder, field, &draft->bytes);
    if (rc < 0) {
        drop(draft);
        return rc;
    }
    draft->size = size_of(draft);
    *out = draft;
    return 0;
}

/* The size of the largest open file of the node. However the value changes meanwhile, the kernel
 * must not take any open file for shorter than it is. */
static uint64_t largest_of(const struct value_node *value)
{
    uint64_t largest = 0;
    for (const struct draft *draft = value->drafts; draft != NULL; draft = draft->next)
        if (draft->size > largest)
            largest = draft->size;
    return largest;
}

/* Whether one of the open files may be read, and has something to read. */
static bool is_read(const struct value_node *value)
{
    for (const struct draft *draft = value->drafts; draft != NULL; draft = draft->next)
        if (draft->reads && draft->size > 0)
            return true;
    return false;
}

/* A shell opens a file and closes a copy of it before it runs the command that writes: an empty
 * draft becomes the value only once the file is closed for good. */
static void finish(struct handle *handle)
{
    struct draft *draft = draft_of(handle);
    struct value_check *none;
    struct value_text now = {0};
    if (draft->truncated && draft->holder->class->set(draft->holder, draft->field,
                                                      &(struct buffer){0}, &none, &now) < 0)
        draft->truncated = false; /* no call is left to be told; `error` says it */
    shared_text_unref(now.text);
}

static void close_draft(struct mount *mount, struct handle *handle)
{
    (void)mount;
    drop(handle);
}

/* Puts the error into `error`. */
static int tell(struct draft *draft, int rc, const struct error *error)
{
    struct mount *mount = draft->holder->mount;
    pthread_mutex_lock(&mount->lock);
    draft->holder->class->answered(draft->holder, rc, error);
    pthread_mutex_unlock(&mount->lock);
    return rc;
}

/* Counts so many bytes of the draft, if there is room for them. */
static int count(struct draft *draft, uint64_t bytes)
{
    struct error error;
    int rc = written_change(&draft->holder->mount->written, &draft->counted, bytes, &error);
    return rc < 0 ? tell(draft, rc, &error) : 0;
}

/* From here on it shows this text, whose reference it takes, and nothing behind it. */
static void rest_on(struct draft *draft, const struct value_text *text)
{
    shared_text_unref(draft->base.text);
    draft->base = *text;
    buffer_clear(&draft->bytes);
    written_note(&draft->holder->mount->written, &draft->counted, 0);
}

static void empty(struct draft *draft) { rest_on(draft, &(struct value_text){0}); }

/* Gives the draft all bytes as its own. -ENOBUFS, -ENOMEM: nothing has changed. */
static int load(struct draft *draft)
{
    const struct value_text *base = &draft->base;
    struct buffer all = {0};
    if (base->text == NULL)
        return 0;
    uint64_t before = draft->counted;
    int rc = count(draft, size_of(draft));
    if (rc == 0)
        rc = buffer_append(&all, base->text, base->size);
    if (rc == 0 && draft->like.with_break)
        rc = buffer_append_byte(&all, '\n');
    if (rc == 0)
        rc = buffer_append(&all, draft->bytes.data, draft->bytes.size);
    if (rc < 0) {
        buffer_clear(&all);
        written_note(&draft->holder->mount->written, &draft->counted, before);
        return rc;
    }
    shared_text_unref(base->text);
    draft->base = (struct value_text){0};
    buffer_clear(&draft->bytes);
    draft->bytes = all;
    return 0;
}

static void unlock(struct draft *draft)
{
    draft->size = size_of(draft);
    pthread_mutex_unlock(&draft->lock);
}

/* Appends what lies within the `size` bytes at `offset` of bytes that begin at `at`. */
static int append_slice(struct buffer *out, const void *bytes, size_t all, uint64_t at,
                        uint64_t offset, size_t size)
{
    uint64_t end = offset + size, begin = offset > at ? offset - at : 0;
    size_t to = end <= at ? 0 : end - at < all ? (size_t)(end - at) : all;
    return begin < to ? buffer_append(out, (const char *)bytes + begin, to - (size_t)begin) : 0;
}

static int read_draft(struct handle *handle, uint64_t offset, size_t size, struct buffer *out)
{
    struct draft *draft = draft_of(handle);
    pthread_mutex_lock(&draft->lock);
    const struct value_text *base = &draft->base;
    int rc = append_slice(out, base->text, base->size, 0, offset, size);
    if (rc == 0 && base->text != NULL && draft->like.with_break)
        rc = append_slice(out, "\n", 1, base->size, offset, size);
    if (rc == 0)
        rc =
            append_slice(out, draft->bytes.data, draft->bytes.size, base_size(draft), offset, size);
    unlock(draft);
    return rc;
}

/* What does not fit is not taken in part, either. A program that is told that a part was taken goes
 * on to write the rest; that is refused as well. */
static int refuse(struct draft *draft, int rc)
{
    struct error error;
    draft->written = draft->truncated = false;
    draft->refused = rc;
    empty(draft);
    if (rc != -EFBIG)
        return rc;
    error_set(&error, rc, "%s is longer than %d MiB", draft->like.name,
              (int)(draft->like.most >> 20));
    return tell(draft, rc, &error);
}

static int resize(struct draft *draft, uint64_t size)
{
    int rc = draft->like.with_break ? load(draft) : 0;
    if (rc < 0)
        return rc;
    if (size > draft->like.most)
        return refuse(draft, -EFBIG);
    uint64_t base = base_size(draft), now = size_of(draft);
    if (size < base) {
        draft->base.size = (size_t)size;
        draft->bytes.size = 0;
        return 0;
    }
    if (size <= now) {
        draft->bytes.size = (size_t)(size - base);
        return 0;
    }
    if (count(draft, size - base) < 0)
        return refuse(draft, -ENOBUFS);
    if (buffer_reserve(&draft->bytes, (size_t)(size - now)) < 0)
        return refuse(draft, -ENOMEM);
    memset(draft->bytes.data + draft->bytes.size, 0, (size_t)(size - now));
    draft->bytes.size = (size_t)(size - base);
    return 0;
}

static void keep_check(struct draft *draft, struct value_check *check)
{
    struct mount *mount = draft->holder->mount;
    if (check == draft->check)
        return;
    pthread_mutex_lock(&mount->lock);
    value_check_unref(draft->check);
    draft->check = check;
    pthread_mutex_unlock(&mount->lock);
}

static int make_value(struct draft *draft, struct value_check **check, struct value_text *now)
{
    struct value_holder *holder = draft->holder;
    int rc = 1;
    if (draft->base.text != NULL && holder->class->extend != NULL)
        rc = holder->class->extend(holder, draft->field, &draft->base, &draft->bytes, now);
    if (rc <= 0)
        return rc;
    rc = load(draft);
    return rc < 0 ? rc : holder->class->set(holder, draft->field, &draft->bytes, check, now);
}

/* Makes the draft the value. If it is refused it is dropped. -EAGAIN: it is being judged. */
static int commit(struct draft *draft)
{
    struct value_check *check = NULL;
    struct value_text now = {0};
    int rc = make_value(draft, &check, &now);
    draft->written = false;
    keep_check(draft, check);
    if (rc < 0 && rc != -EAGAIN)
        empty(draft);
    if (now.text != NULL)
        rest_on(draft, &now);
    return rc;
}

/* Whether the draft ends with a line break. In float32 values a byte may look like one. */
static bool ends_line(const struct draft *draft)
{
    const struct buffer *bytes = &draft->bytes;
    if (bytes->size == 0 || bytes->data[bytes->size - 1] != '\n')
        return false;
    if (draft->base.text != NULL && !draft->base.lines)
        return false;
    for (size_t i = 0; i < bytes->size; i++)
        if (bytes->data[i] < '\t')
            return false;
    return true;
}

/* Where the bytes go. In a value of one line a further line replaces the one before; in other
 * values it comes behind it. */
static uint64_t place_of(struct draft *draft, uint64_t offset)
{
    struct buffer *bytes = &draft->bytes;
    uint64_t size = size_of(draft);
    if (draft->append && offset < size)
        offset = size;
    if (draft->like.one_line && offset >= size && bytes->size > 0 &&
        bytes->data[bytes->size - 1] == '\n')
        bytes->size = 0;
    size = size_of(draft);
    return offset < size ? offset : size;
}

static int write_draft(struct handle *handle, const char *bytes, size_t size, uint64_t offset,
                       struct after *after)
{
    struct draft *draft = draft_of(handle);
    (void)after;
    pthread_mutex_lock(&draft->lock);
    int rc = draft->like.with_break ? load(draft) : 0;
    if (rc == 0 && offset == 0 && !draft->append)
        draft->refused = 0;
    if (rc == 0)
        rc = draft->refused;
    if (rc == 0)
        offset = place_of(draft, offset);
    if (rc == 0 && offset < base_size(draft) && (rc = load(draft)) < 0)
        rc = refuse(draft, rc);
    if (rc == 0 && offset + size > size_of(draft))
        rc = resize(draft, offset + size);
    if (rc == 0) {
        memcpy(draft->bytes.data + (offset - base_size(draft)), bytes, size);
        draft->truncated = false;
        draft->written = true;
        if (draft->like.by_lines && ends_line(draft))
            rc = commit(draft);
        /* Nothing is left of what was taken before it: what follows is no value of its own. */
        if (rc < 0 && (offset > 0 || rc != -EINVAL))
            draft->refused = rc;
    }
    unlock(draft);
    return rc;
}

static int resize_draft(struct handle *handle, uint64_t size)
{
    struct draft *draft = draft_of(handle);
    if (draft->edits && size > 0 && !draft->like.by_lines)
        return -EPERM;
    pthread_mutex_lock(&draft->lock);
    int rc = resize(draft, size);
    if (rc == 0) {
        draft->refused = 0;
        draft->truncated = false;
        draft->written = true;
    }
    unlock(draft);
    return rc;
}

static int flush_draft(struct handle *handle)
{
    struct draft *draft = draft_of(handle);
    pthread_mutex_lock(&draft->lock);
    int rc = draft->written ? commit(draft) : draft->check != NULL ? -EAGAIN : 0;
    unlock(draft);
    return rc;
}

/* What the server says of what was flushed last. */
static int flushed(struct call *call)
{
    const struct draft *draft = draft_of(call->handle);
    struct value_check *check = draft->check;
    if (check == NULL || !check->making)
        return check != NULL ? check->rc : 0;
    call->on = &check->waiting;
    return -EAGAIN;
}

static void interrupted(struct call *call)
{
    struct value_check *check = draft_of(call->handle)->check;
    if (check != NULL && check->making && check->waiting.first == NULL)
        check->stop(check);
}

static const struct handle_class draft_class = {.copy = read_draft,
                                                .write = write_draft,
                                                .flush = flush_draft,
                                                .flushed = flushed,
                                                .interrupted = interrupted,
                                                .resize = resize_draft,
                                                .finish = finish,
                                                .close = close_draft};

/* ---- the file ---- */

static void clear(struct node *node)
{
    if (of(node)->holder != NULL)
        of(node)->holder->class->unref(of(node)->holder);
}

static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    const struct value_node *value = of(node);
    const struct value_holder *holder = value->holder;
    const struct owner *owner = &holder->owner;
    (void)mount;
    st->st_size = (off_t)(value->drafts != NULL ? largest_of(value)
                                                : holder->class->size(holder, value->field));
    st->st_atime = st->st_mtime = st->st_ctime = holder->changed_at;
    st->st_uid = owner->uid;
    st->st_gid = owner->gid;
    st->st_mode &= S_IFMT | owner->mode;
}

/* The kernel takes a file that is opened and truncated for empty, even if it is open elsewhere.
 * Only a caller that looked up the name before the other one opened the file can come here. It
 * looks up the name once more, and must then get a file that no other one can open before it. */
static int open_value(struct mount *mount, struct call *call, struct handle **out)
{
    struct value_node *value = of(call->node);
    struct draft *draft;
    if ((call->flags & O_TRUNC) && is_read(value)) {
        promise_tell(&value->holder->promises, call->caller, NULL);
        return -ESTALE;
    }
    int rc = draft_new(mount, call->node, call->flags, &draft);
    if (rc < 0)
        return rc;
    promise_keep(&value->holder->promises, call->caller);
    value->own = 0;
    draft->next = value->drafts;
    draft->at = &value->drafts;
    if (draft->next != NULL)
        draft->next->at = &draft->next;
    value->drafts = draft;
    *out = &draft->handle;
    return 0;
}

static int edit(struct mount *mount, struct node *node, struct handle **out)
{
    struct draft *draft;
    int rc = draft_new(mount, node, O_WRONLY, &draft);
    if (rc < 0)
        return rc;
    draft->edits = true;
    *out = &draft->handle;
    return 0;
}

/* Tells the size of a file of which the kernel may know an older size. */
static bool size_news(const struct node *node, const struct handle *handle, struct size_news *out)
{
    const struct draft *draft = (const struct draft *)handle;
    (void)node;
    *out = (struct size_news){.size = draft->reads ? draft->size : 0, .raise = true};
    return out->size > 0;
}

static bool misleads(const struct node *node, uint64_t offset)
{
    (void)node, (void)offset;
    return true;
}

#define VALUE_CLASS                                                                                \
    .size = sizeof(struct value_node), .clear = clear, .attributes = attributes,                   \
    .open = open_value, .size_news = size_news, .misleads = misleads

static const struct node_class value_class = {VALUE_CLASS, .mode = S_IFREG | 0666,
                                              .flags = CLASS_WRITTEN, .edit = edit};
static const struct node_class error_class = {VALUE_CLASS, .mode = S_IFREG | 0444,
                                              .flags = CLASS_REMOVED_ONLY};

static const struct node_class *class_of(const struct value_field *like)
{
    return like->told ? &error_class : &value_class;
}

/* Whether look-ups must get another node. A value may become shorter while it is open: processes
 * that have it open keep its node, and the size that goes with what they read. */
static bool is_taken(const struct node *file) { return of(file)->removed || file->opens > 0; }

static bool is_of(const struct node *file, int field)
{
    return (file->class == &value_class || file->class == &error_class) && of(file)->field == field;
}

/* The field's file that is only for this caller, or (0) for all; NULL: there is none. */
static struct node *find(const struct node *directory, int field, caller_id own)
{
    struct node *file = directory->files;
    while (file != NULL && (!is_of(file, field) || of(file)->own != own || is_taken(file)))
        file = file->next_file;
    return file;
}

int value_file_look_up(struct mount *mount, const struct lookup *lookup, int field,
                       struct value_holder *holder, struct node **out)
{
    const struct value_field like = value_field(holder, field);
    bool was_stale = promise_find(&holder->promises, lookup->caller) != NULL;
    caller_id own = was_stale ? lookup->caller : 0;
    struct node *file = find(lookup->parent, field, own);
    int rc = file != NULL ? 0 : node_new(mount, lookup->parent, class_of(&like), like.name, &file);
    if (rc < 0)
        return rc;
    if (of(file)->holder == NULL) {
        of(file)->field = field;
        of(file)->holder = holder->class->ref(holder);
    }
    of(file)->own = own;
    *out = file;
    return 0;
}

void value_file_unlink(struct node *directory, int field)
{
    for (struct node *file = directory->files; file != NULL; file = file->next_file)
        if (is_of(file, field))
            of(file)->removed = true;
}
