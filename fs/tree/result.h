/* Answers as files: what the files results.*, plan.json and near/…/KEY.csv of query/ hold. A result
 * is the answer to one question for one version of the table; its bytes never change once it is
 * made.
 *
 * A result is made once, by the first call that needs it (further calls are parked), and kept for a
 * while after the last use: a stat and the open after it are one query.
 *
 * Lifetime: reference-counted. Threads: guarded by mount->lock, except for result_work, and for the
 * bytes of a result once it is made.
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
    uint64_t number; /* for a session: number among its questions, from 1; else 0 */
    struct question question;
};
/* Takes the question's contents, also on failure. */
MUST_CHECK int asked_new(struct question *question, uint64_t number, struct asked **out);
struct asked *asked_ref(struct asked *asked);
void asked_unref(struct asked *asked);

struct result;

/* What asks again and again: a session (query_session.h), which embeds this as its first member.
 *
 * Lifetime: reference-counted; results have references, too. Threads: guarded by mount->lock. */
struct asker {
    const struct asker_class *class;
    atomic_uint refs;
};
struct asker_class {
    void (*free)(struct asker *asker); /* the last reference has gone */
    /* Whether it still asks its question of this number; if not, its answers cannot be found any
     * more. */
    bool (*asks)(const struct asker *asker, uint64_t number);
    void (*answered)(struct asker *asker, int rc, const struct error *error);
    /* plan_path: the file that shows the plan of its last answer; show_plan: gives it that plan, of
     * which it takes a reference. */
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

/* What the name of a file that shows a result says. */
struct result_key {
    enum result_kind kind;
    int format; /* for rows */
    uint64_t path;
    struct asked *asked; /* borrowed; the result itself has a reference */
    struct asker *asker; /* likewise; NULL: a path asks, not a session */
};

struct result {
    atomic_uint refs;
    struct result *next, **at; /* among mount->tree->results, if it is kept; the last used first */
    struct mount *mount;
    struct result_key key;
    uint64_t number; /* number among all results of the mount, from 1 */

    bool making;
    bool last; /* the call that wants it has no further try */
    /* outcome of the last time that it was made; -EINTR: no call waited for it */
    int rc;
    struct wait waiting; /* calls that wait for that to end */
    char *reason;
    struct buffer bytes;
    int opens;       /* open nodes that show it */
    uint64_t serial; /* the version's serial */
    int64_t mtime;
    uint64_t basis;    /* the version's mark when it was begun, as a number */
    uint64_t contents; /* for rows, which may differ for the same version: a hash of the bytes */
    int64_t made_ms;   /* clock_ms() when it was made */
    time_t made_at;    /* the same by the calendar */
    struct promises promises; /* to callers that stat has told of it */

    struct subject *subject; /* set while it is made */
    struct version *version;
    atomic_bool stop;
    struct lock_turn turn;     /* its turn while it waits for a lock, without a thread */
    struct answer_place place; /* its place while it waits for room, likewise */
    struct waiters_task resuming;
};

MUST_CHECK int result_new(struct mount *mount, const struct result_key *key, struct result **out);
struct result *result_ref(struct result *result);
void result_unref(struct result *result); /* NULL is fine */

/* Keeps the result, and drops those that were used longest ago if there are too many. Open ones
 * stay. */
void result_keep(struct result *result);
/* Whether the result still answers the question, for this version. If the server has a part in it
 * (a filter may ask for the time, or for other tables) it does for as long as a lease. Rows do
 * until a refresh finds any change in the cluster: the columns of the key may have changed. */
bool result_holds(const struct result *result, const struct version *version);
/* The asker asks something else, or has ended: its answers cannot be found any more. Results that
 * are being made are finished, for the calls that wait for them, and then go. */
void result_forget_asker(struct mount *mount, const struct asker *asker);
/* Likewise, but stops the making of the asker's results. */
void result_stop_asker(struct mount *mount, const struct asker *asker);

/* A kept result of this version that is good, or is being made; NULL: none. Borrowed. */
struct result *result_find(struct mount *mount, const struct result_key *key,
                           const struct version *version);
/* The result that the caller was promised a moment ago; NULL: none. Borrowed. */
struct result *result_promised(struct mount *mount, const struct result_key *key, caller_id caller);
/* `repeat`: the caller was told of it without asking the server (promise_repeat). */
void result_promise(struct result *result, caller_id caller, bool repeat);
bool result_is_promised(const struct result *result, caller_id caller);
/* A file of the result is opened, or closed: called for a node's first open, and its last close.
 * -ENOBUFS, with what to do: open results would take too much memory. */
MUST_CHECK int result_open(struct result *result, struct error *error);
void result_close(struct result *result);
/* The kept result of this number, also one that is being made; NULL: it is not kept any more.
 * Borrowed. */
struct result *result_numbered(const struct mount *mount, uint64_t number);
void result_take_back(struct result *result, caller_id caller); /* takes back the promise */

/* Notes that the result is being made, from the subject's current version. Then any thread must
 * call result_work, without the lock: it makes the result, and tries the waiting requests again. It
 * takes a reference. What would have to wait for the server goes on in result_work_patiently, which
 * is for threads that may wait (fs/base/waiters.h). */
void result_begin(struct result *result, struct subject *subject);
void result_work(void *result);
void result_work_patiently(void *result);
/* No call waits for the result any more. */
void result_stop(struct result *result);
/* Called instead of result_work, if there is no memory for that: -ENOMEM. */
MUST_CHECK int result_cancel(struct result *result);

/* When the mount ends: ends the making of all results, and forgets all that are kept. */
void result_stop_all(struct mount *mount);
void result_forget_all(struct mount *mount);

/* The errno that a user is told if a question failed. */
int result_errno(int rc);

#endif
