/* Answers as files: what the results.*, plan.json and near/…/KEY.csv of query/ hold. A result is
 * the answer to one question for one version of the table; its bytes never change once it is made.
 *
 * It is made once, by whoever needs it first (those who wait are parked), and kept a while
 * after nobody needs it: a stat and the open behind it are one query.
 *
 * Lifetime: reference-counted. Threads: guarded by mount->lock, but for result_work, and for the
 * bytes once it is made.
 */
#ifndef FS_TREE_RESULT_H
#define FS_TREE_RESULT_H

#include "fs/rows/lock_line.h"
#include "fs/search/answer_room.h"
#include "fs/search/question.h"
#include "fs/tables/table.h"

#include <time.h>

/* A question that does not change any more. */
struct asked {
    atomic_uint refs;
    uint64_t number; /* of a session: of its questions, 1 first; else 0 */
    struct question question;
};
/* Takes what is in the question, also on failure. */
MUST_CHECK int asked_new(struct question *question, uint64_t number, struct asked **out);
struct asked *asked_ref(struct asked *asked);
void asked_unref(struct asked *asked);

struct result;

/* What a user keeps to ask again and again: a session (query_session.h). It embeds this as its first member.
 *
 * Lifetime: reference-counted, by results among others. Threads: guarded by mount->lock. */
struct asker {
    const struct asker_class *class;
    atomic_uint refs;
};
struct asker_class {
    void (*free)(struct asker *asker); /* the last reference has gone */
    /* Whether it still asks its question of this number: if not nobody finds its answers any more. */
    bool (*asks)(const struct asker *asker, uint64_t number);
    void (*answered)(struct asker *asker, int rc, const struct error *error);
    /* The file that shows the plan of its last answer, and that plan; it takes a reference. */
    uint64_t (*plan_path)(const struct asker *asker);
    void (*show_plan)(struct asker *asker, struct result *plan);
};
static inline struct asker *asker_ref(struct asker *asker)
{
    atomic_fetch_add(&asker->refs, 1);
    return asker;
}
static inline void asker_unref(struct asker *asker) /* NULL is fine */
{
    if (asker != NULL && atomic_fetch_sub(&asker->refs, 1) == 1)
        asker->class->free(asker);
}

enum result_kind {
    RESULT_ROWS,
    RESULT_PLAN,
    RESULT_INDEX /* the state of the index of the question's column and metric */
};

/* What a file says that shows a result. */
struct result_key {
    enum result_kind kind;
    int format; /* of rows */
    uint64_t path;
    struct asked *asked; /* borrowed; the result has a reference of its own */
    struct asker *asker; /* the same; NULL: a path asks, not a session */
};

struct result {
    atomic_uint refs;
    struct result *next, **at; /* among mount->tree->results, if it is there: the last used first */
    struct mount *mount;
    struct result_key key;
    uint64_t number; /* of all of the mount, 1 first */

    bool making;
    bool last;           /* the one who wants it has no further try */
    int rc;              /* of the last time that it was made; -EINTR: nobody waited for it */
    struct wait waiting; /* for that to end */
    char *reason;
    struct buffer bytes;
    int opens;       /* nodes that are open */
    uint64_t serial; /* of the version */
    int64_t mtime;
    uint64_t basis;    /* the version's mark when it was begun, as a number */
    uint64_t contents; /* of rows, which may be others for the same version: a hash of the bytes */
    int64_t made_ms;   /* clock_ms() when it was, */
    time_t made_at;    /* and by the calendar */
    struct promises promises; /* to those who were told of it by stat */

    struct subject *subject; /* while it is made */
    struct version *version;
    atomic_bool stop;
    struct lock_turn turn;     /* in which it waits for a lock, without a thread */
    struct answer_place place; /* from which it waits for room, the same way */
    struct waiters_task resuming;
};

MUST_CHECK int result_new(struct mount *mount, const struct result_key *key, struct result **out);
struct result *result_ref(struct result *result);
void result_unref(struct result *result); /* NULL is fine */

/* Keeps it, dropping those that were used longest ago when there are too many; but for those that
 * are open, which stay. */
void result_keep(struct result *result);
/* Whether it is still what the question is answered with, for this version. One that the server has
 * a part in (a filter may ask for the time, or for other tables) is so for as long as a lease; rows
 * are until a refresh finds anything changed in the cluster: which columns are the key may have. */
bool result_holds(const struct result *result, const struct version *version);
/* The asker asks something else, or has ended: nobody finds its answers any more. What is in the
 * making goes on, for those who wait for it, and goes when it is done; */
void result_forget_asker(struct mount *mount, const struct asker *asker);
/* or is stopped. */
void result_stop_asker(struct mount *mount, const struct asker *asker);

/* One that is kept, good or in the making, of this version; NULL: none. Borrowed. */
struct result *result_find(struct mount *mount, const struct result_key *key,
                           const struct version *version);
/* The one that the caller was promised a moment ago; NULL: none. Borrowed. */
struct result *result_promised(struct mount *mount, const struct result_key *key, caller_id caller);
void result_promise(struct result *result, caller_id caller);
bool result_is_promised(const struct result *result, caller_id caller);
/* A file of it is opened, or closed: a node's first, and its last. -ENOBUFS, with what to do: those
 * that are open would take too much memory. */
MUST_CHECK int result_open(struct result *result, struct error *error);
void result_close(struct result *result);
/* One that is kept, or in the making; NULL: it is not kept any more. Borrowed. */
struct result *result_numbered(const struct mount *mount, uint64_t number);
void result_take_back(struct result *result, caller_id caller); /* the promise */

/* Says that it is being made, of the subject's current version. Then result_work must be called, by
 * any thread, without the lock: it makes it, and tries the requests that wait. It takes a
 * reference. What would have to wait for the server goes on with result_work_patiently, which is
 * for threads that may (fs/base/waiters.h). */
void result_begin(struct result *result, struct subject *subject);
void result_work(void *result);
void result_work_patiently(void *result);
/* Nobody waits for it any more. */
void result_stop(struct result *result);
/* Instead of result_work, where there is no memory for it: -ENOMEM. */
MUST_CHECK int result_cancel(struct result *result);

/* Ends the making of all; forgets all that are kept. The mount ends. */
void result_stop_all(struct mount *mount);
void result_forget_all(struct mount *mount);

/* What a user is told of a question that failed. */
int result_errno(int rc);

#endif
