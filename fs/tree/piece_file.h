/* A file of parts/FORMAT/: a piece of a table's rows (fs/rows/pieces.h) as a file by itself.
 *
 * It is pending until its version is known. Then it shows that version's piece of its name, and
 * goes on as that of later versions, as long as their pieces of the name are the same by their
 * inode number. Otherwise a `stat` or an `open` is ESTALE, and the kernel looks the name up again,
 * as for any file of a table (fs/tables/lease.h); if no piece has the name any more it is ENOENT. A
 * file that is open keeps its bytes.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_PIECE_FILE_H
#define FS_TREE_PIECE_FILE_H

#include "fs/tree/call.h"

extern const struct node_class piece_file_class;

/* As node_class.lookup, of a directory that is called as a format is. */
MUST_CHECK int piece_file_look_up(struct mount *mount, const struct lookup *lookup,
                                  struct node **out);
/* As node_class.doubt: an open node answers for its own version, since nothing tells fstat from
 * stat, so the look-up waits for the server. */
struct node *piece_file_doubt(struct mount *mount, const struct lookup *lookup);

/* What a call needs before it is told of the pieces of the current version: 0, if that need not be
 * asked for, or was. */
MUST_CHECK int piece_file_need_version(struct call *call, int format);

#endif
