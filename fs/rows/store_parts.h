/* The store, for fs/rows/store*.c alone: store.c reads and writes files, store_room.c counts them
 * and makes room for more. */
#ifndef FS_ROWS_STORE_PARTS_H
#define FS_ROWS_STORE_PARTS_H

#include "fs/rows/file_sizes.h"
#include "fs/rows/slot.h"
#include "fs/rows/store.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

enum { STORE_NAME_SIZE = 64 };

struct store {
    struct slot slot;
    int dir; /* the slot's folder */
    uint64_t limit;
    _Atomic uint64_t used; /* bytes of all files counted, and of those being written */
    _Atomic uint64_t next_id;
    /* guards `sizes`; held while a file is deleted, so that both change together */
    pthread_mutex_t counting;
    struct file_sizes sizes;
    pthread_mutex_t making_room;
    /* held while one file goes to make room, from the question whether it is in use on; taken
     * before what that question takes */
    pthread_mutex_t dropping;
};

/* Whether this is the name of a row group's, or an index's, file, exactly as this program writes
 * it: another spelling of the same number is another program's file. */
bool store_parse_group_name(const char *name, uint64_t *id);
bool store_parse_index_name(const char *name, const char *suffix, uint64_t *id);
void store_index_name(uint64_t id, const char *suffix, char name[STORE_NAME_SIZE]);
DIR *store_open_folder(int at, const char *name);

/* Counts a file that has come, with so many bytes, which `used` has already, in place of what it
 * counted as before. -ENOMEM: it is not counted. */
MUST_CHECK int store_count(struct store *store, struct file_key key, uint64_t size);
/* Deletes the file, and subtracts what it counted as. */
void store_drop(struct store *store, struct file_key key);

#endif
