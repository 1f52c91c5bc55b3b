/* The cache on disk: row groups, and one record for each table that says which of them make it.
 *
 *   DIR/SYSTEM-DATABASE-ROLE-N/   0700; a slot (slot.h)
 *     lock
 *     OID/KIND.record             magic, XXH3 of the rest, the rest: replaced by rename
 *     OID/ID.rows                 a row group's file (rowgroup.h); ID is 16 hex digits
 *     OID/ID.hnsw                 an index of one of its columns (index/hnsw.h)
 *
 * Everything that is read back is checked by checksum; nothing is trusted. Files that no record
 * names are deleted when the relation is first refreshed (store_sweep).
 *
 * Threads: any. Groups are put, read and dropped by their (relation, id), which is never used
 * twice. Errors: -ENOSPC: the disk or cache_size is full; -ENOENT: it is not there; -EBADMSG: it is
 * there, but damaged; or another errno of the disk.
 */
#ifndef FS_ROWS_STORE_H
#define FS_ROWS_STORE_H

#include "codec/rowgroup.h"
#include "fs/base/mapping.h"

struct store;

struct store_name {
    uint64_t system_id;
    uint32_t database;
    const char *role;
    /* the slot that it had last is preferred; NULL: the first that is free */
    const char *mountpoint;
};

/* Makes the folders that are missing. Waits for the lock of a daemon whose mount has ended
 * (slot.h). `limit`: bytes of row groups and index files at most. */
MUST_CHECK int store_open(const char *dir, const struct store_name *name, uint64_t limit,
                          struct store **out, struct error *error);
void store_close(struct store *store);

/* Its path, for messages. */
const char *store_path(const struct store *store);
/* The number of its slot; *why says the reason to people, is "" for slot 0, and lives as long as
 * the store. */
int store_slot(const struct store *store, const char **why);
/* Tell the next mount that wants the slot that this process is mounted there, and that it is about
 * to let go. */
void store_mounted(const struct store *store, const char *mountpoint);
void store_ending(const struct store *store);
uint64_t store_used(const struct store *store);
uint64_t store_limit(const struct store *store);

/* A new id, never used before in this store. */
uint64_t store_new_id(struct store *store);
/* All ids that are read are below it, far behind those that are new: ids begin with the time, and no
 * clock has been further ahead (record.h). It goes on with the clock. */
uint64_t store_id_end(void);
/* Notes that the id has been used: a record names it. */
void store_note_id(struct store *store, uint64_t id);

MUST_CHECK int store_put_group(struct store *store, uint32_t relation, uint64_t id,
                               const struct rowgroup_image *image);
/* The same from the rows: compresses text only if room is short, since that takes long. */
MUST_CHECK int store_put_rows(struct store *store, uint32_t relation, uint64_t id,
                              const struct rowgroup *rows, const struct schema *schema);
/* Reads the whole file; the caller frees *bytes. A file larger than `most` bytes is -EBADMSG:
 * whatever has become of it, it takes no more memory than that. */
MUST_CHECK int store_get_group(struct store *store, uint32_t relation, uint64_t id, uint64_t most,
                               uint8_t **bytes, size_t *size);
/* The same, mapped; the caller closes it. It stays readable after the group is dropped. */
MUST_CHECK int store_map_group(struct store *store, uint32_t relation, uint64_t id, uint64_t most,
                               struct mapping **out);
/* Notes that the relation has been used: groups of others go before its own. */
void store_touch(struct store *store, uint32_t relation);

/* Drops groups and index files until `bytes` more fit below the limit; on a full disk, until the
 * store has as many bytes less of them. Those of the least recently used relations go first, and of
 * one relation those that were read longest ago; those of relations for which `in_use` says yes
 * stay. Gives whether the bytes fit. */
bool store_make_room(struct store *store, uint64_t bytes, bool disk_full,
                     bool (*in_use)(void *context, uint32_t relation), void *context);
/* From here on nothing of a relation goes to make room for which `in_use` has said yes since before
 * this was called: what store_has_group says then holds. Waits for one file to be deleted, at most. */
void store_await_drops(struct store *store);
/* After a put of so many bytes gave -ENOSPC: whether the disk is full, and not the limit
 * reached. */
bool store_disk_is_full(const struct store *store, uint64_t bytes);

/* A relation's index files are ID.hnsw in its folder. Opens a descriptor of the folder, for the
 * caller to close; -ENOENT: it has none. Sets the file's time, its last use, if the file is
 * there. */
enum { STORE_INDEX_NAME = 24 };
MUST_CHECK int store_open_index(struct store *store, uint32_t relation, uint64_t id,
                                char name[STORE_INDEX_NAME]);
/* The size of an index file; 0: there is none. */
uint64_t store_index_size(struct store *store, uint32_t relation, uint64_t id);
/* Has `write` put the file, which takes about `size` bytes, into the folder; makes the folder if it
 * is missing. */
MUST_CHECK int store_put_index(struct store *store, uint32_t relation, uint64_t id, uint64_t size,
                               int (*write)(void *context, int folder, const char *name),
                               void *context);
void store_drop_index(struct store *store, uint32_t relation, uint64_t id);

void store_drop_group(struct store *store, uint32_t relation, uint64_t id);
bool store_has_group(struct store *store, uint32_t relation, uint64_t id);

/* The most bytes of a record; that of a table of some TiB has a tenth of it. */
#define RECORD_BYTES_MOST (UINT64_C(256) << 20)
MUST_CHECK int store_put_record(struct store *store, uint32_t relation, const char *kind,
                                const struct buffer *record);
/* Appends the record to `out`. */
MUST_CHECK int store_get_record(struct store *store, uint32_t relation, const char *kind,
                                struct buffer *out);
void store_drop_record(struct store *store, uint32_t relation, const char *kind);

/* Deletes the relation's groups except those with these ids, which are in ascending order. */
void store_sweep(struct store *store, uint32_t relation, const uint64_t *ids, size_t count);

/* Deletes everything of the relation, and its folder. */
void store_drop_relation(struct store *store, uint32_t relation);

/* Calls `visit` for each record of the relation. */
void store_each_record(struct store *store, uint32_t relation,
                       void (*visit)(void *context, const char *kind), void *context);

/* Calls `visit` for each relation that has a folder. */
void store_each(struct store *store, void (*visit)(void *context, uint32_t relation),
                void *context);

#endif
