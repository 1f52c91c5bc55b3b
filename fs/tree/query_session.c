#include "fs/tree/query_session.h"

#include "fs/tree/node.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

enum { VECTOR_AT_MOST = 64 << 20 };

/* ---- a session as the asker of its question ---- */

static struct query_session *of(const struct asker *asker) { return (struct query_session *)asker; }

static void free_session(struct asker *asker)
{
    asked_unref(of(asker)->asked);
    promises_clear(&of(asker)->values.promises);
    free(asker);
}

static bool asks(const struct asker *asker, uint64_t number)
{
    return of(asker)->directory != NULL && of(asker)->asked->number == number;
}

static void answered(struct asker *asker, int rc, const struct error *error)
{
    query_session_answered(of(asker), rc, error);
}

static uint64_t plan_path(const struct asker *asker)
{
    const struct node *directory = of(asker)->directory;
    return directory != NULL ? node_path(directory, "plan.json") : 0;
}

static void show_plan(struct asker *asker, struct result *plan)
{
    struct query_session *session = of(asker);
    if (session->directory == NULL)
        return;
    result_unref(session->plan);
    session->plan = result_ref(plan);
}

static const struct asker_class asker_class = {.free = free_session,
                                               .asks = asks,
                                               .answered = answered,
                                               .plan_path = plan_path,
                                               .show_plan = show_plan};

/* ---- sessions ---- */

static const struct value_holder_class holder_class;

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
    session->asker.class = &asker_class;
    session->asker.refs = 1;
    session->values.class = &holder_class;
    session->values.mount = mount;
    session->values.changed_at = time(NULL);
    session->directory = directory;
    session->next = mount->tree->query_sessions;
    mount->tree->query_sessions = session;
    mount->tree->query_session_count++;
    *out = session;
    return 0;
}

void query_session_end(struct query_session *session)
{
    struct query_session **at = &session->values.mount->tree->query_sessions;
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    session->values.mount->tree->query_session_count--;
    session->directory = NULL;
    result_unref(session->plan); /* the plan has a reference to the session */
    session->plan = NULL;
    result_forget_asker(session->values.mount, &session->asker);
    result_stop_asker(session->values.mount, &session->asker);
    asker_unref(&session->asker);
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

void query_session_answered(struct query_session *session, int rc, const struct error *error)
{
    if (rc == 0)
        session->error.text[0] = '\0';
    else if (error->text[0] != '\0')
        session->error = *error;
    else
        error_set(&session->error, rc, "%s", strerror(-rc));
}

/* ---- values ---- */

static struct query_session *session_of(const struct value_holder *holder)
{
    return (struct query_session *)((char *)holder - offsetof(struct query_session, values));
}

static struct value_holder *ref_session(struct value_holder *holder)
{
    return &query_session_ref(session_of(holder))->values;
}

static void unref_session(struct value_holder *holder) { query_session_unref(session_of(holder)); }

static struct value_field field_of(int field)
{
    const char *name = query_session_field_name(field);
    bool vector = strcmp(name, "vector") == 0;
    return (struct value_field){.name = name,
                                .most = vector ? VECTOR_AT_MOST : QUESTION_TEXT_MOST,
                                .told = field == FIELD_ERROR,
                                .one_line = !vector && strcmp(name, "filter") != 0,
                                .by_lines = true,
                                .with_break = field != FIELD_ERROR && question_is_line(field)};
}

static struct value_text text_of(const struct value_holder *holder, int field)
{
    struct value_text text = {0};
    if (field == FIELD_ERROR)
        return text;
    const struct question *question = &session_of(holder)->asked->question;
    text.text = question_text(question, field, &text.size);
    text.lines = !question_is_line(field) && question->lines;
    return text;
}

static int show_value(const struct value_holder *holder, int field, struct buffer *out)
{
    const struct query_session *session = session_of(holder);
    if (field != FIELD_ERROR)
        return question_show(&session->asked->question, field, out);
    const struct error *error = &session->error;
    return error->text[0] != '\0' ? buffer_printf(out, "%s\n", error->text) : 0;
}

static uint64_t size_of(const struct value_holder *holder, int field)
{
    const struct value_field like = field_of(field);
    const struct value_text text = text_of(holder, field);
    struct buffer shown = {0};
    if (text.text != NULL)
        return value_text_size(&text, &like);
    uint64_t size = show_value(holder, field, &shown) == 0 ? shown.size : 0;
    buffer_clear(&shown);
    return size;
}

static int change(struct query_session *session, int field, const struct value_text *text,
                  const struct buffer *bytes, struct value_text *now);

static int set_value(struct value_holder *holder, int field, const struct buffer *bytes,
                     struct value_check **check, struct value_text *now)
{
    (void)check;
    return change(session_of(holder), field, NULL, bytes, now);
}

static int extend_value(struct value_holder *holder, int field, const struct value_text *text,
                        const struct buffer *more, struct value_text *now)
{
    return change(session_of(holder), field, text, more, now);
}

static void note_answer(struct value_holder *holder, int rc, const struct error *error)
{
    query_session_answered(session_of(holder), rc, error);
}

static const struct value_holder_class holder_class = {.ref = ref_session,
                                                       .unref = unref_session,
                                                       .field = field_of,
                                                       .text = text_of,
                                                       .show = show_value,
                                                       .size = size_of,
                                                       .set = set_value,
                                                       .extend = extend_value,
                                                       .answered = note_answer};

/* Counts the fresh question's text, if there is room for it. The text before it makes room if only
 * the question before has it, and a draft that grows from it. mount->lock is held. */
static int count_text(struct mount *mount, const struct asked *before, const struct asked *fresh,
                      int field, bool grows, struct error *error)
{
    size_t old_size, size;
    const char *old = question_text(&before->question, field, &old_size);
    char *text = question_text(&fresh->question, field, &size);
    /* the references to the question are the session's and our own */
    bool goes = text == old || (before->refs == 2 && shared_text_is_ours(old, grows ? 2 : 1));
    uint64_t replaced = goes ? old_size : 0, counted = replaced;
    int rc = written_change(&mount->written, &counted, size, error);
    if (rc < 0)
        return rc;
    written_note(&mount->written, &counted, replaced);
    if (text != old || size != old_size)
        shared_text_count(text, size, &mount->written);
    return 0;
}

/* Makes the value of the question what was written: the bytes, or (text) what it is with these
 * behind it. 1: it is not that text, or has no lines. */
static int put(struct question *question, int field, const struct value_text *text,
               const struct buffer *bytes, struct error *error)
{
    size_t size;
    if (text == NULL)
        return question_set(question, field, bytes->data, bytes->size, error);
    if (!question->lines || question_text(question, field, &size) != text->text ||
        size != text->size)
        return 1;
    return question_extend_vector(question, bytes->data, bytes->size, error);
}

static void give_text(struct query_session *session, int field, struct value_text *now)
{
    if (question_is_line(field))
        return;
    *now = text_of(&session->values, field);
    shared_text_ref(now->text);
}

static int change(struct query_session *session, int field, const struct value_text *text,
                  const struct buffer *bytes, struct value_text *now)
{
    struct mount *mount = session->values.mount;
    struct error error = {""};
    struct question question;
    struct asked *before, *fresh = NULL;
    for (bool done = false; !done;) {
        pthread_mutex_lock(&mount->lock);
        before = asked_ref(session->asked);
        pthread_mutex_unlock(&mount->lock);
        int rc = question_copy(&before->question, &question);
        if (rc == 0 && (rc = put(&question, field, text, bytes, &error)) != 0)
            question_clear(&question);
        if (rc == 0)
            rc = asked_new(&question, 0, &fresh);
        pthread_mutex_lock(&mount->lock);
        done = rc != 0 || session->asked == before;
        if (rc == 0 && done)
            rc = count_text(mount, before, fresh, field, text != NULL, &error);
        if (rc == 0 && done) {
            asked_unref(session->asked);
            session->asked = asked_ref(fresh);
            fresh->number = ++mount->tree->asked_number;
            session->values.changed_at = time(NULL);
            result_forget_asker(mount, &session->asker);
            give_text(session, field, now);
        }
        if (done && rc <= 0)
            query_session_answered(session, rc, &error);
        pthread_mutex_unlock(&mount->lock);
        asked_unref(before);
        asked_unref(fresh);
        fresh = NULL;
        if (rc != 0)
            return rc > 0 ? rc : result_errno(rc);
    }
    return 0;
}

int query_session_reset(struct query_session *session, int field)
{
    struct value_text now = {0};
    if (field != FIELD_ERROR) {
        int rc = change(session, field, NULL, &(struct buffer){0}, &now);
        shared_text_unref(now.text);
        return rc;
    }
    pthread_mutex_lock(&session->values.mount->lock);
    query_session_answered(session, 0, NULL);
    pthread_mutex_unlock(&session->values.mount->lock);
    return 0;
}

int query_format(const char *extension)
{
    int format = format_find(extension, strlen(extension));
    bool good = format >= 0 && (formats[format] == &format_csv || formats[format] == &format_jsonl);
    return good ? format : -1;
}
