/* Filling the kernel's page cache of a file while its size is still being computed.
 *
 * Text that has to be rendered to be measured is handed to the kernel at once: it is rendered once,
 * and the reads that follow never reach us. Bodies come in any order, numbered. They are stored in
 * order, since only then is their offset known; those that come early wait, within one limit for
 * all of a mount. If a limit is reached the rest is left out: the kernel asks for it by READ.
 *
 * The page cache must have no other bytes of the file: the owner of a prefilled node binds it to
 * that version, and to no other, or gives the node up (prefill_end says which).
 *
 * Threads: any may call prefill_put; the owner calls the rest.
 */
#ifndef FS_ROWS_PREFILL_H
#define FS_ROWS_PREFILL_H

#include "codec/buffer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct kernel;
struct prefill;

/* The room in which early pieces wait for their turn: all prefills that share it have at most
 * `limit` bytes there at once. A prefill that finds it full stores nothing more, and frees what it
 * had there. */
struct prefill_room {
    uint64_t limit;
    _Atomic uint64_t used;
};

/* Borrows the kernel, whose page cache it fills, and the room. */
MUST_CHECK int prefill_new(const struct kernel *kernel, uint64_t nodeid, struct prefill_room *room,
                           struct prefill **out);

/* Stores the file's head; before any prefill_put. Looks how much memory is available: at most a
 * share of that is stored in the page cache for one file. */
void prefill_head(struct prefill *prefill, const struct buffer *head);

/* Puts the next piece of run `major`, counted from 0. The pieces of one run come in order, those of
 * different runs in any. */
void prefill_put(struct prefill *prefill, size_t major, const void *bytes, size_t size);

/* Run `major` has no more pieces. */
void prefill_run_done(struct prefill *prefill, size_t major);

/* The pieces put so far are not what the file will be: stores nothing more. */
void prefill_spoil(struct prefill *prefill);

enum prefill_result {
    PREFILL_NOTHING, /* nothing was stored */
    /* the file begins with what was stored, and is stored whole if all pieces and the tail were */
    PREFILL_GOOD,
    PREFILL_SPOILED /* the node's page cache holds bytes of no version */
};

/* If everything before the tail (nullable) was stored, stores the tail, with which the file has
 * `size` bytes. Frees the prefill. NULL gives PREFILL_NOTHING. */
enum prefill_result prefill_end(struct prefill *prefill, const struct buffer *tail, uint64_t size);

#endif
