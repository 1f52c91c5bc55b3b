/* NAME/ in .sql/: a statement (user_statement.h), as a table's directory.
 *
 *   query.sql           the text; writing it sets the statement
 *   error               why the last text was refused
 *   NAME.FORMAT manifest.json columns/ parts/ query/ select/
 *                       once a text is set: as in a table's directory (table_dir.h)
 *
 * Only the files are listed, and all of them can be removed, so that rm -r ends a statement: a removed
 * file of rows comes back with the next text.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_STATEMENT_DIR_H
#define FS_TREE_STATEMENT_DIR_H

#include "fs/tree/permit.h"

extern const struct node_class statement_dir;

/* Makes one; errnos are for the user. *out is counted as looked up once. */
MUST_CHECK int statement_dir_make(struct mount *mount, struct node *parent, const char *name,
                                  const struct owner *owner, struct node **out);

/* For rmdir: what is open goes on. */
void statement_dir_end(struct mount *mount, struct node *directory);

#endif
