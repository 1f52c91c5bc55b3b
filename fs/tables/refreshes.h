/* The last refreshes of a mount's tables, and what each of them received: for status.json.
 *
 * Lifetime: init to {0}; refreshes_clear frees. Threads: guarded by mount->lock.
 */
#ifndef FS_TABLES_REFRESHES_H
#define FS_TABLES_REFRESHES_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { REFRESHES_KEPT = 16 };

enum refresh_result {
    REFRESH_NEW,
    REFRESH_CHANGED,
    REFRESH_UNCHANGED,
    REFRESH_FAILED,
    REFRESH_STOPPED /* no request waited any more */
};

struct refresh {
    char *schema, *name; /* of the relation */
    char *columns;       /* of these alone; NULL: of all */
    time_t at;           /* when it ended */
    int64_t ms;          /* how long it took */
    enum refresh_result result;
    uint64_t rows, bytes; /* received */
    uint64_t groups_copied, groups_kept;
};

struct refreshes {
    struct refresh kept[REFRESHES_KEPT]; /* number n at n % REFRESHES_KEPT */
    size_t count;                        /* of all that there ever were */
};

/* Copies it, names included, over the oldest. Without memory for that it is left out. */
void refreshes_add(struct refreshes *refreshes, const struct refresh *refresh);

/* The oldest that is kept; `count` is one past the newest. */
static inline size_t refreshes_first(const struct refreshes *refreshes)
{
    return refreshes->count > REFRESHES_KEPT ? refreshes->count - REFRESHES_KEPT : 0;
}

void refreshes_clear(struct refreshes *refreshes);

/* As status.json writes it. */
const char *refresh_result_name(enum refresh_result result);

#endif
