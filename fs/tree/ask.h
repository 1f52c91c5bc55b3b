/* query/ask: a conversation. Each line of JSON that is written is a question, what is read are the
 * answers' lines, in order; reading ends (0 bytes) where nothing is outstanding. One open file is
 * one conversation.
 *
 * The thread that brings a question answers it, after it has let the writer go on; a read that
 * comes meanwhile is parked (call.h) and answered by that thread. Where the version's lease is
 * over, the question waits for the refresh, without a thread.
 *
 * While much is unread, in this conversation or in all, questions wait for a read, which goes on
 * with them. An answer that would make it too much is made again once somebody waits for it and there is
 * room: those who wait have it one after another. It is an error only where nobody reads, for
 * five seconds, any of what there is no room beside.
 *
 * Lifetime: by its open file, and by the thread that answers. Threads: any; guarded by mount->lock,
 * which is not held while a question is answered. ask_write, ask_work and ask_work_later take it.
 */
#ifndef FS_TREE_ASK_H
#define FS_TREE_ASK_H

#include "fs/tree/node.h"

struct ask;

enum { ASKS_AT_MOST = 256 };

/* `node` is the open file's. -ENOSPC: so many are open. Called with the lock held, as all but those three. */
MUST_CHECK int ask_new(struct mount *mount, struct node *node, struct ask **out);
/* The file is closed: what is being answered ends. */
void ask_close(struct ask *ask);

/* Takes the bytes: 0, or an errno for the user (-EFBIG a line is too long, -ENOBUFS too many
 * questions wait, here or all over the mount: written.h; why is kept with query/). *work: then ask_work must be called, by any thread, without the lock, as soon as
 * the writer has been answered; the bytes must stay until it comes back. */
MUST_CHECK int ask_write(struct ask *ask, const char *bytes, size_t size, bool *work);
void ask_work(struct ask *ask);
/* Or this, before the bytes are gone: a thread of the queriers does it. -ENOMEM: what was written last
 * was not taken. */
MUST_CHECK int ask_work_later(struct ask *ask);

/* Appends up to `size` bytes of answers. -EAGAIN: they are being made. */
MUST_CHECK int ask_read(struct ask *ask, size_t size, struct buffer *out);

/* Tells the tables that somebody waits. Called now and then. */
void ask_tend(struct mount *mount);
/* The reads that wait for its answers. */
struct wait *ask_waiting(struct ask *ask);

/* A read that has waited was interrupted. If no other waits, what is being answered ends, and begins
 * again when somebody reads or writes. */
void ask_interrupted(struct ask *ask);
void ask_stop_all(struct mount *mount);

#endif
