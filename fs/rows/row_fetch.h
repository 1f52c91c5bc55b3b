/* Single rows and lists of keys, straight from the server: the table itself is not fetched.
 *
 * Threads: any, without locks; the thread waits as far as its patience goes (server_turn.h). Errors:
 * those of pgclient/row.h and server_turn.h; -EFBIG: the row takes more bytes than it may; -ENOSPC:
 * the cache has no room for the names; -EOPNOTSUPP: the format cannot show these columns.
 */
#ifndef FS_ROWS_ROW_FETCH_H
#define FS_ROWS_ROW_FETCH_H

#include "fs/base/name_file.h"
#include "fs/base/row_name.h"
#include "fs/rows/server_turn.h"

/* What is known of tables, so that it need not be asked for with each row: of those that were used
 * last. Threads: any. */
struct row_layouts;
MUST_CHECK int row_layouts_new(struct row_layouts **out);
void row_layouts_free(struct row_layouts *layouts); /* NULL is fine */

struct row_source {
    const struct fetch_place *place;
    struct row_layouts *layouts;
    const struct relation *relation; /* lives until the turn's wait is over */
    const atomic_bool *stop;         /* or NULL */
};

/* Appends the row as a file of the format that has it alone. `most`: bytes that it may have. */
MUST_CHECK int row_fetch(const struct row_source *source, const struct row_name *name, int format,
                         uint64_t most, struct buffer *out, struct error *error);

enum { ROW_NAME_MOST = 250 }; /* so that it has room for a format in a file's name */

/* The names of all rows by their primary keys, in the key's order, but those that are longer than
 * ROW_NAME_MOST bytes; they lie in the cache's folder, below its limit. */
MUST_CHECK int row_fetch_names(const struct row_source *source, struct name_file **out,
                               struct error *error);

#endif
