/* `ask` in query/: each open file of it is a conversation (ask.h). */
#ifndef FS_TREE_ASK_FILE_H
#define FS_TREE_ASK_FILE_H

#include "fs/tree/class.h"
#include "fs/tree/node.h"

/* As node_class.lookup, for the name `ask`. */
MUST_CHECK int ask_file_look_up(struct mount *mount, const struct lookup *lookup,
                                struct node **out);

#endif
