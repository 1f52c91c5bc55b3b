#include "fs/tree/leftovers.h"

#include "codec/array.h"
#include "fs/base/log.h"
#include "fs/rows/snapshot_records.h"
#include "fs/tables/file_time.h"
#include "fs/tables/listing.h"
#include "fs/tables/statement_number.h"
#include "fs/tree/node.h"
#include "fs/tree/session_dir.h"

#include <errno.h>
#include <stdlib.h>

/* ---- names that the kernel still has ---- */

struct name {
    uint64_t parent; /* the directory's node */
    char *name;
};

struct names {
    struct name *list;
    size_t count;
};

/* Notes a name. Without memory it is left out, and the kernel forgets it some time. */
static void add_name(struct names *names, const struct node *node)
{
    struct name *grown = array_room(names->list, names->count, sizeof *grown);
    if (grown == NULL)
        return;
    names->list = grown;
    char *copy = strdup(node->name);
    if (copy != NULL)
        names->list[names->count++] = (struct name){node->parent->nodeid, copy};
}

/* ---- sessions of a query/ that has gone: its table was dropped or renamed, or has no vectors ----
 */

static bool is_gone(const struct mount *mount, const struct query_session *session)
{
    return !node_exists(mount, session->directory);
}

static bool has_gone_sessions(const struct mount *mount)
{
    const struct query_session *session = mount->tree->query_sessions;
    while (session != NULL && !is_gone(mount, session))
        session = session->next;
    return session != NULL;
}

/* Ends sessions as rmdir does: what is open in them goes on. */
static void end_gone_sessions(struct mount *mount, struct names *names)
{
    struct query_session *next;
    for (struct query_session *session = mount->tree->query_sessions; session != NULL;
         session = next) {
        next = session->next;
        if (!is_gone(mount, session))
            continue;
        if (session->directory->lookups > 0)
            add_name(names, session->directory);
        session_dir_end(mount, session->directory);
    }
}

/* ---- directories and files ---- */

/* The next directory of the bucket that stands for nothing. Those that the kernel knows stay for
 * now; the topmost of these are noted. NULL: there is none that can go. */
static struct node *find_empty(struct mount *mount, int bucket, struct names *names)
{
    for (struct node *node = mount->tree->directories[bucket]; node != NULL;
         node = node->next_path) {
        if (node->class == &session_dir || node_exists(mount, node))
            continue;
        if (node->lookups == 0 && node->below == 0 && node->files == NULL)
            return node;
        if (node->lookups > 0 && node_exists(mount, node->parent))
            add_name(names, node);
    }
    return NULL;
}

static void free_directories(struct mount *mount, struct names *names)
{
    for (int i = 0; i < NODE_BUCKETS; i++) {
        size_t before = names->count;
        struct node *node;
        while ((node = find_empty(mount, i, names)) != NULL) {
            while (names->count > before) /* the bucket is searched again, which notes them anew */
                free(names->list[--names->count].name);
            node_forget(mount, node->nodeid, 0);
        }
    }
}

/* Whether the file's relation has gone, or has gone from the place where the file is. */
static bool is_left(const struct mount *mount, struct node *node)
{
    return node->subject != NULL && (!listing_has_oid(mount, node->subject->table->relation.oid) ||
                                     !node_exists(mount, node_table(node)));
}

/* Notes files that were open when their directory went: the kernel still knows them after they were
 * closed. Whether some are left. `names` NULL: they are not noted, since their directories are. */
static bool note_files(const struct mount *mount, struct names *names)
{
    bool some = false;
    for (int i = 0; i < NODE_BUCKETS; i++)
        for (struct node *node = mount->tree->nodes[i]; node != NULL; node = node->next_id) {
            bool left = is_left(mount, node);
            some |= left;
            if (left && node->opens == 0 && names != NULL)
                add_name(names, node);
        }
    return some;
}

/* ---- names of which a user can make any number, which the kernel keeps ---- */

enum { UNBOUNDED_KEPT = 4096 };

static bool has_too_many(const struct mount *mount)
{
    return mount->crowded || mount->tree->unbounded_count > UNBOUNDED_KEPT;
}

/* Whether it is an unused leaf; its directory goes the next time. */
static bool is_idle(const struct node *node)
{
    return (node->class->flags & CLASS_UNBOUNDED) && node->lookups > 0 && node->opens == 0 &&
           node->calls == 0 && node->below == 0 && node->files == NULL;
}

static void note_idle(const struct mount *mount, struct names *names)
{
    for (int i = 0; i < NODE_BUCKETS; i++)
        for (struct node *node = mount->tree->nodes[i]; node != NULL; node = node->next_id)
            if (is_idle(node))
                add_name(names, node);
}

/* This may wait for a directory's lock. The process that holds that waits for an answer that needs
 * no lock of ours. */
static void tell_kernel(struct mount *mount, struct names *names)
{
    for (size_t i = 0; i < names->count && !mount->ending; i++)
        kernel_forget_name(&mount->kernel, names->list[i].parent, names->list[i].name);
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i].name);
    free(names->list);
}

/* ---- folders of the cache ---- */

struct folders {
    struct mount *mount;
    uint32_t *oids;
    size_t count;
};

/* The folders of statements go by themselves. */
static bool is_known(const struct mount *mount, uint32_t relation)
{
    const struct table *table = mount->tables[relation % TABLE_BUCKETS];
    while (table != NULL && table->relation.oid != relation)
        table = table->next;
    return table != NULL || relation < STATEMENT_NUMBERS || listing_has_oid(mount, relation);
}

static void add_folder(void *context, uint32_t relation)
{
    struct folders *folders = context;
    pthread_mutex_lock(&folders->mount->lock);
    bool known = is_known(folders->mount, relation);
    pthread_mutex_unlock(&folders->mount->lock);
    if (known)
        return;
    uint32_t *grown = array_room(folders->oids, folders->count, sizeof *grown);
    if (grown == NULL)
        return;
    folders->oids = grown;
    folders->oids[folders->count++] = relation;
}

static int compare_oids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Whether a server of which `now` is told has had the table that the records are of: a copy of the
 * cluster from before, or a standby that lags behind, does not have it yet. */
static bool had_table(struct mount *mount, uint32_t relation, const struct version_key *now)
{
    struct snapshot *snapshot;
    int rc = snapshot_load_any(mount->store, relation, &snapshot);
    if (rc < 0)
        return rc != -ENOMEM; /* without a record nothing is lost */
    bool had = version_key_believes(&snapshot->key, now);
    snapshot_unref(snapshot);
    return had;
}

struct asking {
    const struct folders *folders;
    bool *there;
    struct version_key now;
};

static int ask_now(void *context, struct session *session, struct error *error)
{
    struct asking *asking = context;
    const struct folders *folders = asking->folders;
    const struct mount *mount = folders->mount;
    version_key_clear(&asking->now);
    int rc = catalog_now(session, &asking->now, error);
    if (rc == 0)
        rc = mark_check(asking->now.mark, mount->system_id, mount->database, error);
    return rc == 0 ? catalog_has(session, folders->oids, folders->count, asking->there, error) : rc;
}

/* Asks which relations of the folders are dropped. Only the mounted server counts, not another one
 * that answers in its place. */
static int ask_which(struct mount *mount, const struct folders *folders, bool *dropped,
                     struct error *error)
{
    struct asking asking = {.folders = folders, .there = dropped};
    struct lock_question question = {&listing_relations, "catalog", ask_now, &asking};
    int rc = lock_wait_ask(&mount->lock_waits, mount->pool, &question, &mount->ending, error);
    for (size_t i = 0; rc == 0 && i < folders->count; i++)
        dropped[i] = !dropped[i] && had_table(mount, folders->oids[i], &asking.now);
    version_key_clear(&asking.now);
    return rc;
}

static void drop_folders(struct mount *mount)
{
    struct folders folders = {.mount = mount};
    struct error error = {""};
    store_each(mount->store, add_folder, &folders);
    bool *dropped = folders.count > 0 ? calloc(folders.count, sizeof *dropped) : NULL;
    if (dropped != NULL) {
        qsort(folders.oids, folders.count, sizeof *folders.oids, compare_oids);
        int rc = ask_which(mount, &folders, dropped, &error);
        for (size_t i = 0; rc == 0 && i < folders.count; i++)
            if (dropped[i])
                store_drop_relation(mount->store, folders.oids[i]);
        if (rc < 0)
            log_say(LOG_SAY_DEBUG, "the cache of dropped tables stays for now: %s", error.text);
    }
    free(dropped);
    free(folders.oids);
    file_time_sweep(mount->store, time(NULL));
}

/* ---- all of it ---- */

static void clear_up(void *argument)
{
    struct mount *mount = argument;
    struct names names = {0};
    pthread_mutex_lock(&mount->lock);
    bool lost = mount->catalog_lost;
    mount->catalog_lost = false;
    end_gone_sessions(mount, &names);
    if (lost)
        free_directories(mount, &names);
    bool left = note_files(mount, lost ? NULL : &names);
    if (has_too_many(mount))
        note_idle(mount, &names);
    mount->crowded = false;
    bool freed = table_free_gone(mount, &mount->leftovers);
    mount->leftovers |= left;
    pthread_mutex_unlock(&mount->lock);
    tell_kernel(mount, &names);
    if (lost || freed) {
        statement_number_sweep(mount);
        drop_folders(mount);
    }
    pthread_mutex_lock(&mount->lock);
    mount->clearing = false;
    pthread_mutex_unlock(&mount->lock);
}

void leftovers_tend(struct mount *mount)
{
    pthread_mutex_lock(&mount->lock);
    bool wanted = !mount->clearing && (mount->catalog_lost || mount->leftovers ||
                                       has_gone_sessions(mount) || has_too_many(mount));
    mount->clearing |= wanted;
    pthread_mutex_unlock(&mount->lock);
    if (!wanted || waiters_add(mount->waiters, clear_up, mount) == 0)
        return;
    pthread_mutex_lock(&mount->lock);
    mount->clearing = false;
    pthread_mutex_unlock(&mount->lock);
}
