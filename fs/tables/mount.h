/* One mount: what fs/tables and the folders above it share, and the lock that guards it.
 *
 * The state of paths, tables, jobs and parked requests is guarded by the one `lock`. It is held for
 * looking things up and for linking, never while talking to the server, the disk or the kernel's
 * page cache; rendering and fetching work on immutable snapshots outside of it.
 */
#ifndef FS_TABLES_MOUNT_H
#define FS_TABLES_MOUNT_H

#include "fs/base/kernel.h"
#include "fs/base/options.h"
#include "fs/base/wait.h"
#include "fs/base/waiters.h"
#include "fs/base/workers.h"
#include "fs/base/written.h"
#include "fs/rows/prefill.h"
#include "fs/rows/store.h"
#include "fs/search/search.h"
#include "fs/tables/partitions.h"
#include "fs/tables/refreshes.h"
#include "fs/tables/schema_text.h"
#include "fs/views/follow.h"
#include "pgclient/catalog.h"
#include "pgclient/ddl.h"

#include <errno.h>

struct table;
struct table_users;
struct tree;

enum { TABLE_BUCKETS = 4096 };

struct mount {
    const struct options *options;
    struct kernel kernel;
    struct server *server, *direct; /* the second is pg_dump's, and may be NULL */
    struct session_pool *pool;
    struct store *store;
    struct fetch_place place;
    struct workers *renderers; /* rendering for reads */
    struct workers *queriers;  /* similarity search that libfuse's threads do not do themselves */
    atomic_int answering;      /* threads of libfuse that do similarity search */
    /* for work that may wait: jobs of tables, the catalog, reading along with fetches, questions of
     * which the server answers a part */
    struct waiters *waiters;
    struct waiters *enders; /* ends of transactions, which nothing that waits may hold up */
    struct body_cache *bodies;
    struct follow *follow;
    struct written written;
    struct search search;
    struct held held; /* read points that snapshots hold */
    struct lock_waits lock_waits;
    struct lock_line lock_line;
    sem_t slots; /* of fetch_place */
    struct prefill_room prefill_room;
    struct catalog_scope scope;
    /* the name of the mounted cluster (pgclient/cluster.h); the mount refuses to go on with another */
    uint64_t system_id;
    uint32_t database;
    struct ddl_way ddl;
    int64_t born; /* seconds; the time of every directory */
    int64_t started_ms;

    struct tree *tree;               /* see fs/tree/tree.h */
    const struct table_users *users; /* what tables call in it (table.h) */

    pthread_mutex_t lock; /* guards all that follows, and what node.h, table.h and request.h say */
    struct table *tables[TABLE_BUCKETS]; /* by oid */
    size_t table_count;
    struct waits waits;
    struct wait waiting; /* for the catalog, or for nothing that has a list of its own */
    struct refreshes refreshes;
    atomic_bool ending;

    struct catalog *catalog;
    struct partitions partitions; /* of the catalog, by parent and name */
    uint32_t *oids;               /* of the catalog's relations, sorted; oid_count of them */
    size_t oid_count;
    /* the catalog lacks relations or names that an older one had, or the cache may have
     * (leftovers.h) */
    bool catalog_lost;
    bool leftovers; /* tables or files of gone relations are still used */
    /* a table had no room for one more list of columns: names that nothing uses are to go */
    bool crowded;
    bool clearing;                      /* a thread clears leftovers */
    bool statements[STATEMENT_NUMBERS]; /* by number: it is taken (statement_number.h) */
    uint32_t statement_last;            /* the number that was taken last */
    char *catalog_mark;
    /* clock_ms() when the server was asked whether the catalog still holds */
    int64_t catalog_checked;
    /* numbers of checks: the last one begun, and the one whose answer is at hand (listing.h) */
    unsigned catalog_asks, catalog_answered;
    bool catalog_running, catalog_wanted;
    char *ddl_mark, *ddl_signature; /* of the last time that anything in the cluster had changed */
    struct schema_text schema_text;
    unsigned catalog_failures; /* counts; the last one's reason: */
    int catalog_rc;
    struct error catalog_error;

    struct {
        _Atomic uint64_t fetches, unchanged, failures, rows_fetched, bytes_fetched;
        _Atomic uint64_t groups_fetched, groups_kept;
        _Atomic uint64_t reads, bytes_read, tries, interrupted, catalog_reads;
        _Atomic uint64_t queries, query_failures, row_questions, row_failures;
    } count;
};

/* The errno that a user is told: one that the user can act on, and EIO for everything else. What
 * our own folders tell each other (try again, stale, lost connection) means other things to the
 * kernel. */
static inline int user_errno(int rc)
{
    return rc == -EACCES || rc == -ENOENT || rc == -ENOMEM || rc == -ENOSPC || rc == -EBUSY ||
                   rc == -EOPNOTSUPP || rc == -EFBIG
               ? rc
               : -EIO;
}

#endif
