/* Sessions of query/: a directory that somebody has made, with a question in it, one value a file.
 *
 * A value is always replaced as a whole. What is written into an open file is a draft until the
 * file is flushed (close, fsync), or one write ends with a line break: then it becomes the value,
 * or is refused (-EINVAL, the reason in the session's `error`), and the value stays what it was. An
 * open file that is read shows the value as it was when it was opened.
 *
 * Lifetime: reference-counted: by the list of the mount until it is ended (rmdir), by open files
 * and by results. Threads: guarded by mount->lock, but for the functions of drafts, which take it.
 */
#ifndef FS_TREE_QUERY_SESSION_H
#define FS_TREE_QUERY_SESSION_H

#include "fs/tree/result.h"

#include <time.h>

enum { QUERY_SESSIONS_AT_MOST = 64 };
enum { FIELD_ERROR = QUESTION_FIELDS, FIELD_COUNT }; /* behind those of the question: `error` */

/* Whoever has made a session, and what its mode allows whom; of its files the same, as far as files
 * can be read or written. */
struct owner {
    uid_t uid;
    gid_t gid;
    mode_t mode; /* of the directory: 0777 at most */
};

struct query_session {
    atomic_uint refs;
    struct owner owner;         /* never changes */
    struct query_session *next; /* of the mount */
    struct mount *mount;
    struct node *directory; /* NULL once ended */
    struct asked *asked;
    time_t changed_at;
    struct result *plan; /* of the last answer; NULL: there is none yet */
    struct error error;  /* "": the last thing went well */
};

/* Makes one. -ENOSPC: there are too many. */
MUST_CHECK int query_session_new(struct mount *mount, struct node *directory,
                                 struct query_session **out);
struct query_session *query_session_ref(struct query_session *session);
void query_session_unref(struct query_session *session); /* NULL is fine */

/* Sets the value to its default, or empties `error`. Without the lock; the errno is for the user.
 */
MUST_CHECK int query_session_reset(struct query_session *session, int field);

/* No more of it can be found; takes the list's reference. */
void query_session_end(struct query_session *session);

/* The number of the field of this name; -1: none. */
int query_session_field(const char *name);
const char *query_session_field_name(int field);

uint64_t query_session_plan_path(const struct query_session *session);
void query_session_answered(struct query_session *session, int rc, const struct error *error);
void query_session_show_plan(struct query_session *session, struct result *plan);

/* The size of a value's file. */
uint64_t query_session_size(const struct query_session *session, int field);

/* A value's file that is open. */
struct draft;

/* Of the value that the node stands for; `flags` of open. */
MUST_CHECK int draft_new(struct node *node, int flags, struct draft **out);
/* It is what an open file of the node shows, until it is freed: before the node is. */
void draft_enlist(struct draft *draft, struct node *node);

/* The size of what it shows: of the value as it was opened, then of what has been written. */
uint64_t draft_size(const struct draft *draft);
/* The largest of all open files of the node. Whatever becomes of the value meanwhile, the kernel
 * must not take any of them for shorter than it is. */
uint64_t draft_largest(const struct node *node);
/* Whether one of them may be read, and has something to read. */
bool draft_is_read(const struct node *node);

/* Sets what was only truncated, and frees. */
void draft_free(struct draft *draft);
/* Only frees; with the lock held. */
void draft_drop(struct draft *draft);

/* The errnos are for the user. */
MUST_CHECK int draft_read(struct draft *draft, uint64_t offset, size_t size, struct buffer *out);
MUST_CHECK int draft_write(struct draft *draft, uint64_t offset, const void *bytes, size_t size);
MUST_CHECK int draft_resize(struct draft *draft, uint64_t size);
MUST_CHECK int draft_flush(struct draft *draft);

#endif
