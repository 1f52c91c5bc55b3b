/* How a table snapshot is cut into pieces, the files of parts/: each is a run of row groups of one
 * source.
 *
 * Cuts stay where they are when rows elsewhere change. Whether a piece ends behind a group depends
 * on the groups that it has by then, and on nothing behind them:
 *
 *   it has less than half of the size        no
 *   it could have more than twice the size
 *     with one more group                    yes
 *   else                                     by a hash of the ctid where the group's range ends,
 *                                            so often that pieces have the size on average
 *   the next group begins in the same page
 *     of the heap as this one                no, in any case: pieces are named by pages
 *
 * Sizes are those of the groups in memory: of what the server has sent, about. The last piece of a
 * source has what is left. A stream is cut as soon as a piece has the size, since behind a change
 * its groups are others anyway.
 *
 * Lifetime: pieces_new, pieces_free; nothing of the snapshot is kept, with which the functions are
 * called again. Threads: any.
 * Errors: -ENOMEM.
 */
#ifndef FS_ROWS_PIECES_H
#define FS_ROWS_PIECES_H

#include "fs/rows/snapshot_view.h"

struct piece {
    size_t first, end; /* its groups, by their numbers in the snapshot: [first, end) */
    /* its number in its stream, or the page of the heap in which it begins at the earliest */
    uint32_t place;
    bool closed; /* its own groups end it, else the end of the source */
};

struct pieces {
    struct piece *list; /* in the order of the rows, which is that of their names */
    size_t count;
    int digits;      /* of a source's number in a name */
    uint64_t schema; /* a hash of what rendering goes by beside the rows */
};

/* `size`: the option part_size, not 0. */
MUST_CHECK int pieces_new(const struct snapshot *snapshot, uint64_t size, struct pieces **out);
void pieces_free(struct pieces *pieces); /* NULL is fine */

enum { PIECE_NAME_SIZE = 32 };
/* SOURCE-PLACE: the source's number and the place, the page as 8 hex digits, a number in a stream
 * as 8 decimal ones. */
void piece_name(const struct snapshot *snapshot, const struct pieces *pieces,
                const struct piece *piece, char out[PIECE_NAME_SIZE]);
/* Whether there can be a piece of this name, of `size` bytes, in some snapshot. */
bool piece_is_name(const char *name, size_t size);
/* The piece of this name; NULL: there is none. */
const struct piece *pieces_find(const struct snapshot *snapshot, const struct pieces *pieces,
                                const char *name, size_t size);

struct view piece_view(struct snapshot *snapshot, const struct piece *piece,
                       const struct format *format);
/* Since when the piece holds what it holds, in seconds since 1970: if a piece of this name holds
 * other bytes in another version, cut by the same size, one of the two has a later time. */
int64_t piece_mtime(const struct snapshot *snapshot, const struct piece *piece);
/* The same of its file: also since when the format's encoder makes it (snapshot.h: renewed). */
int64_t piece_file_mtime(const struct snapshot *snapshot, const struct piece *piece,
                         const struct format *format);
/* Its inode number: a hash of cluster, database, relation, format, name and contents, of the time
 * of another encoder, and no number that means something else to the kernel. */
uint64_t piece_ino(const struct snapshot *snapshot, const struct pieces *pieces,
                   const struct piece *piece, const struct format *format);

#endif
