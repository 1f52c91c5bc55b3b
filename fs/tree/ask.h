/* query/ask: a conversation. Each line of JSON that a process writes is a question; what it reads
 * are the answers' lines, in order. Reading ends (0 bytes) when no answer is outstanding. One open
 * file is one conversation.
 *
 * The thread that brings a question answers it, after it has let the writer go on; a read that
 * comes meanwhile is parked (call.h) and answered by that thread. If the version's lease is over,
 * the question waits for the refresh, without a thread.
 *
 * While much is unread, in this conversation or in all, questions wait for a read, which goes on
 * with them. An answer that would make it too much is made again once a read waits for it and there
 * is room; waiting reads get room one after another. It is an error only if, for five seconds,
 * nothing is read of the answers that take the room.
 *
 * Lifetime: the open file and the thread that answers have references. Threads: any; guarded by
 * mount->lock, which is not held while a question is answered. ask_write, ask_work and
 * ask_work_later take it.
 */
#ifndef FS_TREE_ASK_H
#define FS_TREE_ASK_H

#include "fs/tree/node.h"

struct ask;

enum { ASKS_AT_MOST = 256 };

/* `node` is that of the open file. -ENOSPC: too many are open. Called with the lock held, as all
 * functions but those three. */
MUST_CHECK int ask_new(struct mount *mount, struct node *node, struct ask **out);
/* The file is closed: the answer that is being made ends. */
void ask_close(struct ask *ask);

/* Takes the bytes: 0, or an errno for the user (-EFBIG a line is too long, -ENOBUFS too many
 * questions wait, here or in the whole mount: written.h; the reason is kept with query/). If *work,
 * any thread must call ask_work, without the lock, as soon as the writer has been answered; the
 * bytes must stay until that returns. */
MUST_CHECK int ask_write(struct ask *ask, const char *bytes, size_t size, bool *work);
void ask_work(struct ask *ask);
/* Or it calls this before the bytes are gone: then a thread of the queriers does the work. -ENOMEM:
 * what was written last was not taken. */
MUST_CHECK int ask_work_later(struct ask *ask);

/* Appends up to `size` bytes of answers. -EAGAIN: answers are being made. */
MUST_CHECK int ask_read(struct ask *ask, size_t size, struct buffer *out);

/* Tells the tables that conversations wait. Called now and then. */
void ask_tend(struct mount *mount);
/* The list of reads that wait for its answers. */
struct wait *ask_waiting(struct ask *ask);

/* A read that has waited was interrupted. If no other read waits, the answer that is being made
 * ends, and begins again at the next read or write. */
void ask_interrupted(struct ask *ask);
void ask_stop_all(struct mount *mount);

#endif
