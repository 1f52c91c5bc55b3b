/* Sessions of query/: a directory that a user has made, with a question in it, one value in each
 * file.
 *
 * Each change of a value makes a new question, which never changes. What another process sets at the
 * same time comes before it or after it. value_file.h says how a value is written.
 *
 * Lifetime: reference-counted: the list of the mount (until rmdir ends the session), open files and
 * results have references. Threads: guarded by mount->lock, which query_session_reset
 * takes.
 */
#ifndef FS_TREE_QUERY_SESSION_H
#define FS_TREE_QUERY_SESSION_H

#include "fs/tree/result.h"
#include "fs/tree/value_holder.h"

enum { QUERY_SESSIONS_AT_MOST = 64 };
/* FIELD_ERROR is `error`, behind the fields of the question */
enum { FIELD_ERROR = QUESTION_FIELDS, FIELD_COUNT };

struct query_session {
    struct asker asker;
    struct value_holder values;
    struct query_session *next; /* in the mount's list */
    struct node *directory;     /* NULL once ended */
    struct asked *asked;
    struct result *plan; /* that of the last answer; NULL: there is none yet */
    struct error error;  /* "": the last call succeeded */
};

/* Makes a session. -ENOSPC: there are too many. */
MUST_CHECK int query_session_new(struct mount *mount, struct node *directory,
                                 struct query_session **out);
static inline struct query_session *query_session_ref(struct query_session *session)
{
    asker_ref(&session->asker);
    return session;
}
static inline void query_session_unref(struct query_session *session) /* NULL is fine */
{
    asker_unref((struct asker *)session);
}

/* Sets the value to its default, or empties `error`. Called without the lock; the errno is for the
 * user. */
MUST_CHECK int query_session_reset(struct query_session *session, int field);

/* Ends the session: it cannot be found any more. Takes the list's reference. */
void query_session_end(struct query_session *session);

/* The number of the field of this name; -1: none. */
int query_session_field(const char *name);
const char *query_session_field_name(int field);

/* Sets what `error` says from now on: that nothing is wrong, or this. */
void query_session_answered(struct query_session *session, int rc, const struct error *error);

/* The format of an answer with this extension, csv or jsonl; -1: it is another, or none. */
int query_format(const char *extension);

#endif
