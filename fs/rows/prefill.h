/* Filling the kernel's page cache of a file while its size is still being computed.
 *
 * The text that has to be rendered to be measured is handed to the kernel at once, so that it is
 * rendered once, and the reads that follow never reach us. Bodies come in any order, numbered; they
 * are stored in order, since only then is their offset known; those that come early wait, all of a
 * mount within one limit. Where the limits are reached the rest is left out: it comes by READ.
 *
 * It must be the file's only bytes: whoever prefills a node binds it to that version, and to no
 * other, or gives the node up (prefill_end says which).
 *
 * Threads: prefill_put from any; the rest from the owner.
 */
#ifndef FS_ROWS_PREFILL_H
#define FS_ROWS_PREFILL_H

#include "codec/buffer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fuse_session;
struct prefill;

/* Where what has come early waits for its turn: of all prefills that share it no more than `limit`
 * bytes at once. Whichever finds it full stores nothing more, and gives back what it had. */
struct prefill_room {
    uint64_t limit;
    _Atomic uint64_t used;
};

/* Borrows the room. */
MUST_CHECK int prefill_new(struct fuse_session *session, uint64_t nodeid, struct prefill_room *room,
                           struct prefill **out);

/* The head of the file; before any prefill_put. Looks how much memory there is: no more than a
 * share of it is stored in the page cache for one file. */
void prefill_head(struct prefill *prefill, const struct buffer *head);

/* The next piece of run `major`, counted from 0. The pieces of one run come in order, those of
 * several in any. */
void prefill_put(struct prefill *prefill, size_t major, const void *bytes, size_t size);

/* Run `major` has no more pieces. */
void prefill_run_done(struct prefill *prefill, size_t major);

/* What was put is not what the file will be: nothing more is stored. */
void prefill_spoil(struct prefill *prefill);

enum prefill_result {
    PREFILL_NOTHING, /* nothing was stored */
    PREFILL_GOOD,    /* the file begins with what was stored; with the tail, if all was stored */
    PREFILL_SPOILED  /* the node's page cache holds bytes of no version */
};

/* Stores the tail (nullable), with which the file has `size` bytes, if all before it was stored,
 * and frees. NULL is PREFILL_NOTHING. */
enum prefill_result prefill_end(struct prefill *prefill, const struct buffer *tail, uint64_t size);

#endif
