/* What nodes answer the jobs of their tables (fs/tables/table.h). */
#ifndef FS_TREE_TABLE_USERS_H
#define FS_TREE_TABLE_USERS_H

#include "fs/tables/table.h"

extern const struct table_users tree_users;

#endif
