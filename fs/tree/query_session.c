#include "fs/tree/query_session.h"

#include "fs/base/shared_text.h"
#include "fs/tree/node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { VECTOR_AT_MOST = 64 << 20 };

/* ---- sessions ---- */

int query_session_new(struct mount *mount, struct node *directory, struct query_session **out)
{
    struct question question;
    struct query_session *session = calloc(1, sizeof *session);
    int rc = session == NULL ? -ENOMEM : 0;
    if (rc == 0 && mount->tree->query_session_count >= QUERY_SESSIONS_AT_MOST)
        rc = -ENOSPC;
    if (rc == 0)
        rc = question_init(&question);
    if (rc == 0)
        rc = asked_new(&question, ++mount->tree->asked_number, &session->asked);
    if (rc < 0) {
        free(session);
        return rc;
    }
    session->refs = 1;
    session->mount = mount;
    session->directory = directory;
    session->changed_at = time(NULL);
    session->next = mount->tree->query_sessions;
    mount->tree->query_sessions = session;
    mount->tree->query_session_count++;
    *out = session;
    return 0;
}

struct query_session *query_session_ref(struct query_session *session)
{
    atomic_fetch_add(&session->refs, 1);
    return session;
}

void query_session_unref(struct query_session *session)
{
    if (session == NULL || atomic_fetch_sub(&session->refs, 1) != 1)
        return;
    asked_unref(session->asked);
    free(session);
}

void query_session_end(struct query_session *session)
{
    struct query_session **at = &session->mount->tree->query_sessions;
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    session->mount->tree->query_session_count--;
    session->directory = NULL;
    result_unref(session->plan); /* it has a reference to the session */
    session->plan = NULL;
    result_forget_session(session->mount, session);
    result_stop_session(session->mount, session);
    query_session_unref(session);
}

int query_session_field(const char *name)
{
    for (int i = 0; i < FIELD_COUNT; i++)
        if (strcmp(query_session_field_name(i), name) == 0)
            return i;
    return -1;
}

const char *query_session_field_name(int field)
{
    return field < QUESTION_FIELDS ? question_fields[field] : "error";
}

uint64_t query_session_plan_path(const struct query_session *session)
{
    return session->directory != NULL ? node_path(session->directory, "plan.json") : 0;
}

void query_session_answered(struct query_session *session, int rc, const struct error *error)
{
    if (rc == 0)
        session->error.text[0] = '\0';
    else if (error->text[0] != '\0')
        session->error = *error;
    else
        error_set(&session->error, rc, "%s", strerror(-rc));
}

void query_session_show_plan(struct query_session *session, struct result *plan)
{
    if (session->directory == NULL)
        return;
    result_unref(session->plan);
    session->plan = result_ref(plan);
}

/* ---- values ---- */

static int show(const struct query_session *session, int field, struct buffer *out)
{
    if (field < QUESTION_FIELDS)
        return question_show(&session->asked->question, field, out);
    const struct error *error = &session->error;
    return error->text[0] != '\0' ? buffer_printf(out, "%s\n", error->text) : 0;
}

/* As it is shown: with a line break, or without. */
static uint64_t text_size(const char *text, int field)
{
    return shared_text_size(text) + question_is_line(field);
}

uint64_t query_session_size(const struct query_session *session, int field)
{
    const char *text = question_text(&session->asked->question, field);
    struct buffer shown = {0};
    if (text != NULL)
        return text_size(text, field);
    uint64_t size = show(session, field, &shown) == 0 ? shown.size : 0;
    buffer_clear(&shown);
    return size;
}

/* Whether there is room for the fresh question's text, which is counted then. The one before makes
 * room for it if it goes with the question before. mount->lock is held. */
static int count_text(struct mount *mount, const struct asked *before, const struct asked *fresh,
                      int field, struct error *error)
{
    const char *old = question_text(&before->question, field);
    char *text = question_text(&fresh->question, field);
    bool goes = before->refs == 2 && shared_text_is_alone(old); /* the session's, and our own */
    uint64_t replaced = goes ? shared_text_size(old) : 0, counted = replaced;
    int rc =
        text != old ? written_change(&mount->written, &counted, shared_text_size(text), error) : 0;
    if (rc < 0 || text == old)
        return rc;
    written_note(&mount->written, &counted, replaced);
    shared_text_count(text, &mount->written);
    return 0;
}

/* Makes the bytes the value. What somebody else sets at the same time comes before or behind it. */
static int set(struct query_session *session, int field, const struct buffer *bytes)
{
    struct mount *mount = session->mount;
    struct error error = {""};
    struct question question;
    struct asked *before, *fresh = NULL;
    for (bool done = false; !done;) {
        pthread_mutex_lock(&mount->lock);
        before = asked_ref(session->asked);
        pthread_mutex_unlock(&mount->lock);
        int rc = question_copy(&before->question, &question);
        if (rc == 0 && (rc = question_set(&question, field, bytes->data, bytes->size, &error)) < 0)
            question_clear(&question);
        if (rc == 0)
            rc = asked_new(&question, 0, &fresh);
        pthread_mutex_lock(&mount->lock);
        done = rc < 0 || session->asked == before;
        if (rc == 0 && done)
            rc = count_text(mount, before, fresh, field, &error);
        if (rc == 0 && done) {
            asked_unref(session->asked);
            session->asked = asked_ref(fresh);
            fresh->number = ++mount->tree->asked_number;
            session->changed_at = time(NULL);
            result_forget_session(mount, session);
        }
        if (done)
            query_session_answered(session, rc, &error);
        pthread_mutex_unlock(&mount->lock);
        asked_unref(before);
        asked_unref(fresh);
        fresh = NULL;
        if (rc < 0)
            return result_errno(rc);
    }
    return 0;
}

int query_session_reset(struct query_session *session, int field)
{
    if (field != FIELD_ERROR)
        return set(session, field, &(struct buffer){0});
    pthread_mutex_lock(&session->mount->lock);
    query_session_answered(session, 0, NULL);
    pthread_mutex_unlock(&session->mount->lock);
    return 0;
}

/* ---- drafts ---- */

struct draft {
    struct opened listed;     /* guarded by mount->lock, */
    struct draft *next, **at; /* and these: among those of its node, if it has one */
    struct query_session *session;
    int field;
    bool append, reads;
    _Atomic uint64_t size; /* of what it shows */
    pthread_mutex_t lock;  /* guards all that follows; taken before mount->lock */
    char *opened;          /* the shared text that it shows until it is written to; then NULL */
    struct buffer bytes;   /* what it shows else */
    uint64_t counted;      /* of them, of the mount's `written` */
    bool written;          /* and not set since */
    bool truncated;        /* by open; nothing has been written yet */
    int refused;           /* what was written has not been taken, and what follows on it is not */
};

static void free_draft(void *draft) { draft_drop(draft); }

int draft_new(struct node *node, int flags, struct draft **out)
{
    struct query_session *session = node->session;
    int field = node->field;
    struct draft *draft = calloc(1, sizeof *draft);
    if (draft == NULL)
        return -ENOMEM;
    draft->field = field;
    draft->append = flags & O_APPEND;
    draft->truncated = flags & O_TRUNC;
    draft->reads = (flags & O_ACCMODE) != O_WRONLY;
    if (!draft->truncated)
        draft->opened = shared_text_ref(question_text(&session->asked->question, field));
    int rc = draft->truncated || draft->opened != NULL ? 0 : show(session, field, &draft->bytes);
    if (rc < 0) {
        free(draft);
        return rc;
    }
    draft->size = draft->opened != NULL ? text_size(draft->opened, field) : draft->bytes.size;
    draft->session = query_session_ref(session);
    pthread_mutex_init(&draft->lock, NULL);
    opened_list(session->mount, &draft->listed, free_draft, draft);
    *out = draft;
    return 0;
}

void draft_enlist(struct draft *draft, struct node *node)
{
    draft->next = node->drafts;
    draft->at = &node->drafts;
    if (draft->next != NULL)
        draft->next->at = &draft->next;
    node->drafts = draft;
}

static void delist(struct draft *draft)
{
    if (draft->at == NULL)
        return;
    *draft->at = draft->next;
    if (draft->next != NULL)
        draft->next->at = draft->at;
}

uint64_t draft_size(const struct draft *draft) { return draft->size; }

uint64_t draft_largest(const struct node *node)
{
    uint64_t largest = 0;
    for (const struct draft *draft = node->drafts; draft != NULL; draft = draft->next)
        if (draft->size > largest)
            largest = draft->size;
    return largest;
}

bool draft_is_read(const struct node *node)
{
    for (const struct draft *draft = node->drafts; draft != NULL; draft = draft->next)
        if (draft->reads && draft->size > 0)
            return true;
    return false;
}

/* A shell opens a file and closes a copy of it before it runs the command that writes: an empty
 * draft is the value only once the file is closed for good. */
void draft_free(struct draft *draft)
{
    struct mount *mount = draft->session->mount;
    if (draft->truncated && set(draft->session, draft->field, &(struct buffer){0}) < 0)
        draft->truncated = false; /* nobody is left to be told; `error` says it */
    pthread_mutex_lock(&mount->lock);
    draft_drop(draft);
    pthread_mutex_unlock(&mount->lock);
}

void draft_drop(struct draft *draft)
{
    opened_unlist(&draft->listed);
    delist(draft);
    shared_text_unref(draft->opened);
    written_note(&draft->session->mount->written, &draft->counted, 0);
    query_session_unref(draft->session);
    buffer_clear(&draft->bytes);
    pthread_mutex_destroy(&draft->lock);
    free(draft);
}

static int most_of(const struct draft *draft)
{
    return strcmp(query_session_field_name(draft->field), "vector") == 0 ? VECTOR_AT_MOST
                                                                         : QUESTION_TEXT_MOST;
}

/* Says it in the session's `error`. */
static int tell(struct draft *draft, int rc, const struct error *error)
{
    struct mount *mount = draft->session->mount;
    pthread_mutex_lock(&mount->lock);
    query_session_answered(draft->session, rc, error);
    pthread_mutex_unlock(&mount->lock);
    return rc;
}

/* Whether there is room for so many bytes of it. */
static int count(struct draft *draft, uint64_t bytes)
{
    struct error error;
    int rc = written_change(&draft->session->mount->written, &draft->counted, bytes, &error);
    return rc < 0 ? tell(draft, rc, &error) : 0;
}

static void empty(struct draft *draft)
{
    buffer_clear(&draft->bytes);
    written_note(&draft->session->mount->written, &draft->counted, 0);
}

/* From here on it has bytes of its own. */
static int load(struct draft *draft)
{
    const char *text = draft->opened;
    if (text == NULL)
        return 0;
    int rc = count(draft, text_size(text, draft->field));
    if (rc == 0)
        rc = buffer_append(&draft->bytes, text, shared_text_size(text));
    if (rc == 0 && question_is_line(draft->field))
        rc = buffer_append_byte(&draft->bytes, '\n');
    if (rc < 0) {
        empty(draft);
        return rc;
    }
    shared_text_unref(draft->opened);
    draft->opened = NULL;
    return 0;
}

static void unlock(struct draft *draft)
{
    if (draft->opened == NULL)
        draft->size = draft->bytes.size;
    pthread_mutex_unlock(&draft->lock);
}

static int append_slice(struct buffer *out, const void *bytes, size_t all, uint64_t offset,
                        size_t size)
{
    size_t from = offset < all ? (size_t)offset : all, n = size < all - from ? size : all - from;
    return n > 0 ? buffer_append(out, (const char *)bytes + from, n) : 0;
}

int draft_read(struct draft *draft, uint64_t offset, size_t size, struct buffer *out)
{
    pthread_mutex_lock(&draft->lock);
    const char *text = draft->opened;
    size_t before = out->size, all = shared_text_size(text);
    int rc = text != NULL ? append_slice(out, text, all, offset, size)
                          : append_slice(out, draft->bytes.data, draft->bytes.size, offset, size);
    size_t taken = out->size - before;
    if (rc == 0 && text != NULL && question_is_line(draft->field) && offset + taken == all &&
        taken < size)
        rc = buffer_append_byte(out, '\n');
    unlock(draft);
    return rc;
}

/* What does not fit is not taken in part, either: the rest of it, which a program goes on to write
 * when it was told of a part, is refused as well. */
static int refuse(struct draft *draft, int rc)
{
    struct error error;
    draft->written = draft->truncated = false;
    draft->refused = rc;
    empty(draft);
    if (rc != -EFBIG)
        return rc;
    error_set(&error, rc, "%s is longer than %d MiB", query_session_field_name(draft->field),
              most_of(draft) >> 20);
    return tell(draft, rc, &error);
}

static int resize(struct draft *draft, uint64_t size)
{
    int rc = load(draft);
    if (rc == 0 && size > (uint64_t)most_of(draft))
        return refuse(draft, -EFBIG);
    if (rc == 0 && size > draft->bytes.size && count(draft, size) < 0)
        return refuse(draft, -ENOBUFS);
    if (rc < 0 || size <= draft->bytes.size) {
        if (rc == 0)
            draft->bytes.size = (size_t)size;
        return rc;
    }
    if (buffer_reserve(&draft->bytes, (size_t)size - draft->bytes.size) < 0)
        return refuse(draft, -ENOMEM);
    memset(draft->bytes.data + draft->bytes.size, 0, (size_t)size - draft->bytes.size);
    draft->bytes.size = (size_t)size;
    return 0;
}

/* A refused draft is dropped. */
static int commit(struct draft *draft)
{
    int rc = set(draft->session, draft->field, &draft->bytes);
    draft->written = false;
    if (rc < 0)
        empty(draft);
    return rc;
}

/* Whether a line has come to its end. Of float32, a byte may look as if it had. */
static bool ends_line(const struct draft *draft)
{
    const struct buffer *bytes = &draft->bytes;
    if (bytes->size == 0 || bytes->data[bytes->size - 1] != '\n')
        return false;
    for (size_t i = 0; i < bytes->size; i++)
        if (bytes->data[i] < '\t')
            return false;
    return true;
}

/* Where the bytes go. Of a value of one line, a further line takes the place of the one before; of
 * the others, it comes behind it. */
static uint64_t place_of(struct draft *draft, uint64_t offset)
{
    struct buffer *bytes = &draft->bytes;
    bool one_line = strcmp(query_session_field_name(draft->field), "vector") != 0 &&
                    strcmp(query_session_field_name(draft->field), "filter") != 0;
    if (draft->append && offset < bytes->size)
        offset = bytes->size;
    if (one_line && offset >= bytes->size && bytes->size > 0 &&
        bytes->data[bytes->size - 1] == '\n')
        bytes->size = 0;
    return offset < bytes->size ? offset : bytes->size;
}

int draft_write(struct draft *draft, uint64_t offset, const void *bytes, size_t size)
{
    pthread_mutex_lock(&draft->lock);
    int rc = load(draft);
    if (rc == 0 && offset == 0 && !draft->append)
        draft->refused = 0;
    if (rc == 0)
        rc = draft->refused;
    if (rc == 0)
        offset = place_of(draft, offset);
    if (rc == 0 && offset + size > draft->bytes.size)
        rc = resize(draft, offset + size);
    if (rc == 0) {
        memcpy(draft->bytes.data + offset, bytes, size);
        draft->truncated = false;
        draft->written = true;
        if (ends_line(draft))
            rc = commit(draft);
        /* Of what has been taken before it, nothing is left: what follows is no value of its own.
         */
        if (rc < 0 && (offset > 0 || rc != -EINVAL))
            draft->refused = rc;
    }
    unlock(draft);
    return rc;
}

int draft_resize(struct draft *draft, uint64_t size)
{
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

int draft_flush(struct draft *draft)
{
    pthread_mutex_lock(&draft->lock);
    int rc = draft->written ? commit(draft) : 0;
    unlock(draft);
    return rc;
}
