/* A conversation, for fs/tree/ask*.c alone:
 *
 *     ask.c          questions as they are written, answers as they are read
 *         │ ask_go_on: a thread is wanted
 *         ▼
 *     ask_work.c     the thread that answers question after question
 *         │ ask_need_version                     │ ask_has_room
 *         ▼                                      ▼
 *     ask_version.c  a refresh, or the           ask_room.c  whether what is unread leaves room,
 *                    catalog, must come first                and whose turn it is
 *
 * A conversation is IDLE, WORKING or WAITING. Its references: the open file's, and that of the
 * thread that answers; while WAITING nothing runs, and the reference belongs to what will begin the
 * thread again.
 *
 * Threads: all with mount->lock, but for what is called without it as said.
 */
#ifndef FS_TREE_ASK_PARTS_H
#define FS_TREE_ASK_PARTS_H

#include "fs/base/waiters.h"
#include "fs/tree/ask.h"
#include "fs/tree/result.h"

/* An answer for which there is always room, one in each conversation. */
enum { ASK_SMALL_AT_MOST = 64 << 10 };

enum ask_state {
    IDLE,    /* nothing is outstanding, or too much is unread: the next read goes on with it */
    WORKING, /* a thread answers */
    WAITING  /* a question waits for a refresh, or the catalog */
};

struct ask {
    atomic_uint refs;
    struct mount *mount;
    struct node *node; /* NULL once closed */
    struct ask *next;  /* in the mount's list */
    atomic_bool stop;  /* no further question is answered */
    /* the answer that is being made ends: no read waits for it, or `stop` is set */
    atomic_bool halted;
    enum ask_state state;

    uint64_t counted; /* bytes counted in the mount's `written` */
    struct buffer in; /* questions, one a line; the last line may not be whole */
    size_t taken;     /* bytes of `in` already taken */
    size_t line_end;  /* behind the last line break */
    struct buffer out;
    size_t read; /* bytes of `out` already read */
    int rc;      /* -ENOMEM: the next read is told, and all reads if `stop` is set */

    struct wait waiting;       /* reads that wait */
    struct answer_place place; /* the place in which an answer waits for room, without a thread */
    struct waiters_task resuming;

    /* While IDLE: the size of the answer for which there was no room, so that its question was put
     * off. While WORKING: so many bytes are kept free for the answer, and counted in the mount's
     * `unread`. */
    size_t lacks;
    int64_t lacks_since; /* clock_ms() when a read began to wait for this room; 0: none waits */
    bool refused;        /* there will be no room */

    /* While WAITING, for a refresh since these counts, or for the catalog: */
    struct waiting version;    /* hangs on the list that it waits on */
    struct subject *waits_for; /* NULL: the catalog */
    unsigned refreshes_seen, failures_seen;
    unsigned listing_seen; /* listing_now() when the catalog was wanted */

    /* While WORKING these belong to the thread that answers; while IDLE they are the question that
     * it has put off: */
    const char *lent; /* the rest of what ask_write was given, in whole lines: taken first */
    size_t lent_size;
    bool parsed;
    struct question question;
    _Atomic size_t question_size; /* size of the question's line */
    int tries;
    bool looked_again;    /* the catalog was read again since the relation was found to have gone */
    uint32_t relation;    /* the relation whose refresh this question has waited for; 0: none yet */
    uint32_t gone;        /* the last relation of this name that was found to have gone; 0: none */
    bool refreshed;       /* the current version is good for this question, leased or not */
    int failed;           /* the errno of what it has waited for, if that has failed */
    struct error failure; /* the reason of that */
};

/* ---- ask.c ---- */

struct ask *ask_ref(struct ask *ask);
void ask_unref(struct ask *ask);

/* Counts the bytes of questions anew. */
void ask_count_anew(struct ask *ask);

/* Copies what has been lent and not taken yet, in front of the rest. */
MUST_CHECK int ask_keep_lent(struct ask *ask);
/* Too much is unread to answer what has been lent: it waits with the other questions. */
void ask_put_off_lent(struct ask *ask);
/* Takes the next line; false: there is none. */
bool ask_take_line(struct ask *ask, struct buffer *line);

/* Nothing has been tried for the question at hand. */
void ask_begin_anew(struct ask *ask);
/* Puts the question at hand off: it is answered again once a read waits for it. */
void ask_put_off(struct ask *ask);
/* No further question is answered, since an answer in the middle would be missing. */
void ask_give_up(struct ask *ask, int rc);

/* Whether a question has stopped because too much was unread. */
bool ask_has_stopped(const struct ask *ask);

/* ---- ask_work.c ---- */

/* A thread of the queriers goes on with the conversation, which is IDLE. */
int ask_go_on(struct ask *ask);
/* The same of one that is WORKING already; takes the reference, if it succeeds. */
MUST_CHECK int ask_begin_work(struct ask *ask);

/* ---- ask_version.c ---- */

/* What the conversation is about; NULL: it is closed, or there is no such table now. */
struct subject *ask_subject(const struct ask *ask);

/* 0: the current version may be asked. -EAGAIN: the refresh that must come first is wanted; after
 * it the conversation goes on with this question. */
MUST_CHECK int ask_need_version(struct ask *ask, struct subject *subject, struct error *error);

/* ---- ask_room.c ---- */

/* So many bytes of answers are not unread any more. */
void ask_note_read(struct mount *mount, uint64_t bytes);

/* Whether no further question is begun. A reader that waits for an answer, and has read all before,
 * is not held up, however little other readers read. */
bool ask_is_full(const struct ask *ask);

/* Whether an answer of so many bytes may be kept until it is read. A small one always may, one in
 * each conversation: what other readers leave unread does not hold it up. Beyond a quarter of
 * memory= an answer is kept only if a read waits for it. */
bool ask_has_room(const struct ask *ask, size_t size);

/* The error if unread answers leave no room. */
MUST_CHECK int ask_no_room(const struct ask *ask, struct error *error);

/* There is no room for the answer, of `size` bytes: it is made again when there is. */
void ask_put_off_large(struct ask *ask, size_t size);

/* The conversation whose read has waited longest for room; NULL: none. */
struct ask *ask_first_in_line(const struct mount *mount);
/* Some bytes have been read, or reading has stopped: conversations that wait for room go on, one
 * after another. */
void ask_serve_line(struct mount *mount);

#endif
